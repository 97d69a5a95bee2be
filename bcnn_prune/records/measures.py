"""Measures of a network: accuracy in counts, cost, CPU time."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Evaluation:
    """Top-1 counts on one split. Equal counts are equal, whatever the loss."""

    images: int
    correct: int
    loss: float | None = field(default=None, compare=False)
    """Mean cross-entropy; None where counts alone were taken, and where it is not finite."""

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.images or self.images == 0:
            raise ValueError(f"{self.correct} correct of {self.images} images is no evaluation")

    @property
    def accuracy(self) -> float:
        """0 to 1."""
        return self.correct / self.images


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-adds of one image (one is 2 FLOPs); biases and BN are counted in params only."""

    params: int
    macs: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.params + other.params, self.macs + other.macs)


@dataclass(frozen=True)
class Latency:
    """Forward time of one batch on a CPU: median and quartiles over `rounds`, in milliseconds."""

    median_ms: float
    lower_quartile_ms: float
    upper_quartile_ms: float
    rounds: int
    batch: int
    threads: int
    load: float | None = None
    """Cores that other processes kept busy meanwhile; None where it was not looked at."""


@dataclass(frozen=True)
class SpeedUp:
    """Speed-up over another network, both timed in the same rounds: median and quartiles over rounds."""

    median: float
    lower_quartile: float
    upper_quartile: float
