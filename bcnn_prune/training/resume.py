"""The state of a training phase on disk: it survives a kill at any moment, a full disk and a damaged file."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from bcnn_prune.files import replacing


class StateFiles:
    """The last two states of a phase in `folder`, each whole: the older is used where the newer is damaged."""

    def __init__(self, folder: Path) -> None:
        self.newest, self.previous = folder / "state.pt", folder / "state-previous.pt"

    def load(self) -> dict[str, Any] | None:
        """The newest state that can be read, None where there is none. Warns of a damaged one by name."""
        for path in (self.newest, self.previous):
            if path.exists():
                try:
                    return _read(path)
                except ValueError as error:
                    warnings.warn(f"{error}: going on from the state before it", stacklevel=2)
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Keep `state`, and the one before it. Raises OSError on a full disk, with the older states as they were."""
        with replacing(self.newest) as partial:
            _write(partial, state)
            if self.newest.exists():
                self.newest.replace(self.previous)

    def remove(self) -> None:
        """Forget the phase, once its result is kept elsewhere."""
        self.newest.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)


def _write(path: Path, state: dict[str, Any]) -> None:
    try:
        torch.save(state, path)
    except RuntimeError as error:  # torch's zip writer wraps the operating system's error and drops its number
        raise OSError(f"{path.parent} takes no more data (is the disk full?): the last good state is kept") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums that torch.save writes
            bad = archive.testzip()
        if bad is not None:
            raise ValueError(f"{path} is damaged ({bad})")
        state = torch.load(path, "cpu", weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is damaged") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds no training state")
    return state
