"""A training phase on disk, unfinished or finished: it survives a kill at any moment, a full disk, a damaged file."""

import hashlib
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import cattrs
import torch
from safetensors.torch import load_file
from torch import Tensor

from bcnn_prune.files import atomic_write, require_file, write_text
from bcnn_prune.model.checkpoint import write_tensors
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.records import ConfusionMatrix, History


class EpochCheckpoints:
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
        with atomic_write(self.newest) as partial:
            _write(partial, state)
            if self.newest.exists():
                self.newest.replace(self.previous)

    def remove(self) -> None:
        """Forget the phase, once its result is kept elsewhere."""
        self.newest.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)


class PhaseCache:
    """Files of a finished phase in `folder`: the kept weights, its history with a checksum over both, and what the
    network came to on the test split."""

    def __init__(self, folder: Path) -> None:
        self._weights, self._story = folder / "weights.safetensors", folder / "history.json"
        self._test = folder / "test.json"

    def load(self) -> tuple[dict[str, Tensor], History] | None:
        """The weights, on the CPU, and the history; None where the phase is not finished.

        Warns, by name, of a damaged file, and takes the phase for unfinished. Raises PermissionError for one that may
        not be read."""
        if not self._story.exists():
            return None
        for path in (self._story, self._weights):
            if path.exists():  # another user's, perhaps: that is no damage
                require_file(path)
        try:
            story = json.loads(self._story.read_text(encoding="utf-8"))
            history = cattrs.structure(story["history"], History)
            if self._checksum(story["history"]) != story["sha256"]:
                raise ValueError("another checksum")
        except (OSError, ValueError, KeyError, TypeError, cattrs.BaseValidationError):
            warnings.warn(f"{self._weights} or {self._story.name} is damaged: training this phase again", stacklevel=2)
            return None
        return load_file(self._weights), history

    def save(self, model: BilinearCNN, history: History) -> None:
        """Keep both; the history comes last, so a phase without one is not finished."""
        self._test.unlink(missing_ok=True)  # of weights that were damaged, perhaps
        write_tensors(self._weights, model.state_dict())
        told = cattrs.unstructure(history)
        write_text(self._story, json.dumps({"sha256": self._checksum(told), "history": told}))

    def test(self) -> ConfusionMatrix | None:
        """Counts of `save_test`; None where there is none, or it is damaged or a top-1 count alone, as once kept."""
        if not self._test.exists():
            return None
        require_file(self._test)
        try:
            return cattrs.structure(json.loads(self._test.read_text(encoding="utf-8")), ConfusionMatrix)
        except (ValueError, TypeError, cattrs.BaseValidationError):
            return None

    def save_test(self, found: ConfusionMatrix) -> None:
        """Keep the counts, so that no later run has to look at the test split for this network again."""
        write_text(self._test, json.dumps(cattrs.unstructure(found)))

    def _checksum(self, history: dict[str, Any]) -> str:
        return hashlib.sha256(self._weights.read_bytes() + json.dumps(history).encode()).hexdigest()


def _write(path: Path, state: dict[str, Any]) -> None:
    try:
        torch.save(state, path)
    except RuntimeError as error:  # torch's zip writer wraps the operating system's error and drops its number
        raise OSError(f"{path.parent} takes no more data (is the disk full?): the last good state is kept") from error


def _read(path: Path) -> dict[str, Any]:
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums that torch.save writes
            bad = archive.testzip()
        if bad is not None:
            raise ValueError(bad)
        state = torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # what a flipped byte makes of a zip or a pickle has no common type
        raise ValueError(f"{path} is damaged") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds no training state")
    return state
