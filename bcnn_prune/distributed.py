"""The processes of a run: one, or several that train the same network on shares of each batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """The rows `start` to `stop` of a batch of `of` images: those that one rank computes."""

    start: int
    stop: int
    of: int

    @property
    def rows(self) -> slice:
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class ProcessGroup:
    """A single process. The group of several overrides the collectives, which then every rank must call in the same
    order: all wait for one that does not."""

    rank: int = 0
    world: int = 1
    batch_norm: str = "of the batch"
    """Over which images BN takes its statistics in training, as a record tells it."""

    def share(self, count: int) -> Shard:
        """This rank's part of a batch: even to within an image. Where ranks are more than images some have none,
        rank 0 never."""
        start, stop = (-(-count * rank // self.world) for rank in (self.rank, self.rank + 1))
        return Shard(start, stop, count)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, the same bits on each; `tensor` is untouched."""
        return tensor

    def on_rank_zero(self, make: Callable[[], T]) -> T:
        """Result or exception of `make`, called on rank 0 alone; the others get a copy."""
        return make()

    def wrap_ddp(self, model: nn.Module) -> nn.Module:
        """A module that computes as `model` does, on the same tensors, and averages gradients over ranks.

        Gives all ranks rank 0's values first. `model` keeps its modules and names; one network trains at a time."""
        return model


SINGLE_PROCESS = ProcessGroup()
