"""The operations on single elements that a forward pass asks torch for."""

from math import prod
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

FREE = (
    *("empty", "bmm", "view", "_unsafe_view", "transpose", "t", "expand", "detach", "diagonal", "eye", "index_select"),
    *("unsqueeze", "clone", "slice", "select", "alias"),
)
"""Products, which are counted elsewhere, and what only lays elements out."""


class Elementwise(TorchDispatchMode):
    """Adds them up."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.unknown: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        size = (out[0] if isinstance(out, tuple) else out).numel()
        match name:
            case "convolution":
                self.count += size if args[2] is not None else 0  # its bias
            case (
                "addmm"
                | "relu_"
                | "sign"
                | "abs"
                | "add"
                | "sub"
                | "rsub"
                | "sqrt"
                | "mul"
                | "div"
                | "clamp_min"
                | "pow"
            ):
                self.count += size
            case "native_batch_norm" | "_native_batch_norm_legit_no_training" | "hardtanh_":
                self.count += 2 * size
            case "max_pool2d_with_indices":
                self.count += (prod(args[1]) - 1) * size
            case "linalg_vector_norm":  # squares, additions, root
                self.count += args[0].numel() + (args[0].numel() - size) + size
            case "mean":  # additions, divisions
                self.count += (args[0].numel() - size) + size
            case "sum" | "amax" | "adaptive_max_pool2d":
                self.count += args[0].numel() - size
            case _ if name not in FREE:
                self.unknown.add(name)
        return out
