"""The training phases of a run, known before any of them is trained, so that runs can be put in order.

Equal phases train the same network alike: whoever comes second finds what the first one left."""

from dataclasses import dataclass

from bcnn_prune.protocol import Cut
from bcnn_prune.records import Recipe
from bcnn_prune.spec import ModelSpec


@dataclass(frozen=True)
class First:
    """A network that nothing has trained yet, and the images and the seed that it will be trained with."""

    data: str
    """Digest of the image set."""
    seed: int
    spec: ModelSpec
    weights: str


@dataclass(frozen=True)
class Phase:
    """One training phase; all that decides its outcome, as far as it differs within the chapter."""

    name: str
    recipe: Recipe
    start: "First | Phase"
    """The network that it goes on from."""
    cut: Cut | None = None
    """Of its network, before the phase or while it trains."""

    @property
    def first(self) -> First:
        """Where its network comes from in the end, before any cut."""
        return self.start if isinstance(self.start, First) else self.start.first

    def then(self, name: str, recipe: Recipe, cut: Cut | None = None) -> "Phase":
        """The phase that trains this one's network on."""
        return Phase(name, recipe, self, cut)
