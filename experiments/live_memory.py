"""How much memory a forward pass holds at once, of any network, without computing it: on torch's meta device."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Live(TorchDispatchMode):
    """Adds up, after every operation, the tensors made so far that something still holds."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak: int = 0
        self._known = known
        self._sizes: dict[StorageWeakRef, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self._known:
                    self._sizes[StorageWeakRef(storage)] = storage.nbytes()  # type: ignore[no-untyped-call]
        self._sizes = {ref: size for ref, size in self._sizes.items() if not ref.expired()}  # type: ignore[no-untyped-call]
        self.peak = max(self.peak, sum(self._sizes.values()))
        return made


@torch.inference_mode()
def peak_activation_bytes(network: nn.Module, side: int) -> int:
    """The most bytes that activations of one image take at once, in fp32.

    `network` must lie on the meta device. Not counted are its weights, the image and what an operation needs inside."""
    image = torch.zeros(1, 3, side, side, device="meta")
    held = (image, *network.parameters(), *network.buffers())
    with _Live({tensor.untyped_storage()._cdata for tensor in held}) as live:
        network.eval()(image)
    peak: int = live.peak
    return peak
