"""Read what people save of a network: safely, and with the reason where it cannot be read.

Nothing is unpickled that could run code."""

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor


def read_saved(path: Path) -> Any:
    """The content of the file, which may be anything that is made of tensors and plain values.

    Raises ValueError that names the file and, where it is whole, what in it could run code."""
    try:
        return load_file(path)
    except safetensors.SafetensorError:
        pass  # or it is torch's
    try:
        with warnings.catch_warnings(action="ignore"):  # what torch warns of here, it also refuses
            return torch.load(path, "cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        if more := _more_than_tensors(path, error):
            raise ValueError(
                f"{path} holds {more} beside or around its tensors, and reading that could run code: nothing was "
                "loaded; where you trust it, save the weights alone, torch.save(model.state_dict(), FILE)"
            ) from error
        raise _unreadable(path) from error
    except Exception as error:  # what a damaged file makes of a zip or a pickle has no common type
        raise _unreadable(path) from error


def mappings_in(saved: Any) -> list[dict[str, Tensor]]:
    """The tensors by name of each mapping in a saved object, the outer ones first, as training scripts save them.

    Raises ValueError for what is no mapping."""
    if not isinstance(saved, Mapping):
        raise ValueError(f"it holds a {type(saved).__name__}, not a state_dict: save model.state_dict()")
    return list(_mappings(saved))


def few(names: Sequence[str], shown: int = 4) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}" or "none"


def require_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError that names the first tensor with numbers that are not finite."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(
                f"{name} holds numbers that are not finite: its training diverged, or the file is damaged; take another"
            )


def _unreadable(path: Path) -> ValueError:
    return ValueError(
        f"{path} is no file of plain tensors, or it is damaged: nothing was loaded from it; give the state_dict of a "
        "network as torch.save or safetensors wrote it"
    )


def _more_than_tensors(path: Path, error: Exception) -> str:
    """Types that torch refused to unpickle, such as argparse.Namespace; nothing where the file is merely damaged."""
    if "TorchScript" in str(error):
        return "a TorchScript program"
    try:
        refused = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # it reads zips only: of a bare pickle the error itself tells
        refused = re.findall(r"(?:GLOBAL|[Gg]lobal:?) ([\w.]+\.\w+)", str(error))[:1]
    return few(refused) if refused else ""


def _mappings(saved: Mapping[Any, Any], deeper: int = 2) -> Iterator[dict[str, Tensor]]:
    if tensors := {key: value for key, value in saved.items() if isinstance(key, str) and isinstance(value, Tensor)}:
        yield tensors
    for value in saved.values():
        if isinstance(value, Mapping) and deeper:
            yield from _mappings(value, deeper - 1)
