"""TensorBoard: scalars and γ histograms of every epoch, for watching a long run."""

from pathlib import Path

from bcnn_prune.model.network import Trainable
from bcnn_prune.phase import RunCallback
from bcnn_prune.pruning.sparsity import scales
from bcnn_prune.records import EpochStats, History, Recipe


class TensorBoardCallback:
    """Passes every call on to another callback, and writes each epoch to `folder`, one TensorBoard run per phase, named
    as its folder in the cache: several runs share a phase, and one run may have several of a name."""

    def __init__(self, other: RunCallback, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ValueError("--tensorboard needs a package more: pip install tensorboard") from error
        self._other, self._folder, self._make = other, folder, SummaryWriter
        self._phase = ""

    def on_phase_start(self, name: str, recipe: Recipe, folder: Path) -> None:
        self._phase = folder.name
        self._other.on_phase_start(name, recipe, folder)

    def on_cache_hit(self, name: str, history: History, folder: Path) -> None:
        self._other.on_cache_hit(name, history, folder)

    def on_wait(self, folder: Path) -> None:
        self._other.on_wait(folder)

    def close(self) -> None:
        self._other.close()

    def on_batch(self, done: int, total: int) -> None:
        self._other.on_batch(done, total)

    def on_epoch(self, stats: EpochStats, epochs: int, model: Trainable) -> None:
        with self._make(str(self._folder / self._phase), purge_step=stats.epoch) as writer:
            for name, value in (
                ("loss", stats.loss),
                ("loss/labels", stats.loss if stats.label_loss is None else stats.label_loss),
                ("accuracy/train", stats.train.accuracy),
                ("accuracy/val", stats.val.accuracy),
                ("learning rate", stats.learning_rate),
                ("γ at zero", stats.scales_at_zero),
            ):
                writer.add_scalar(name, value, stats.epoch)
            for layer, values in scales(model).items():
                writer.add_histogram(f"γ/{layer}", values, stats.epoch)
        self._other.on_epoch(stats, epochs, model)
