"""A flow as a value: the phases that train its networks, the cuts between them, and the parts of its record.

A run executes it (execute.py). A grid takes the union of many flows and trains each phase once (grid/). Equal phases
train the same network alike, so phases compare by value: recipe, cut and everything before them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import chain, takewhile
from typing import Generic, TypeVar

from bcnn_prune.phase import Zeroing
from bcnn_prune.protocol import Cut
from bcnn_prune.records import DatasetInfo, PruneStep, Recipe
from bcnn_prune.spec import ModelSpec
from experiments.recipes import Recipes, base_recipes
from experiments.run.budget import Budget
from experiments.run.convert import Conversion
from experiments.run.cut_settings import PruneSettings, TuneSettings
from experiments.run.settings import FlowSettings, recipes_for

T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Deferred(Generic[T_co]):
    """A value that follows from cuts, known once their networks are pruned."""

    cuts: "tuple[Pruned, ...]"
    value: Callable[..., T_co]
    """Function of the PruneSteps of the cuts."""
    guess: T_co
    """Value in schedules and estimates of time."""


@dataclass(frozen=True)
class Initial:
    """An untrained network, and the images and the seed that it will be trained with."""

    data: str
    """Digest of the image set."""
    seed: int
    spec: ModelSpec | Deferred[ModelSpec]
    weights: str
    """imagenet, tiny, none, or a file."""
    narrow: bool = False
    """The trunk of the weights is cut to the widths of `spec`."""


@dataclass(frozen=True)
class Phase:
    """One training phase."""

    name: str
    recipe: Recipe | Deferred[Recipe]
    start: "Initial | Phase | Pruned"
    """The network that it trains on."""
    soft: Zeroing | Deferred[Zeroing] | None = None
    teacher: "Phase | None" = None
    """The network that the phase learns from, where its recipe has distillation."""

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Cached: by a budget each step's recipe holds all cuts before it, and so does its start."""
        return hash(tuple(getattr(self, field.name) for field in fields(self)))

    def __getstate__(self) -> dict[str, object]:
        """The fields alone: another process hashes text otherwise."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def then(self, name: str, recipe: Recipe | Deferred[Recipe], teacher: "Phase | None" = None) -> "Phase":
        """The phase that trains this one's network on."""
        return Phase(name, recipe, self, teacher=teacher)

    def pruned(self, cut: Cut | Conversion) -> "Pruned":
        return Pruned(self, cut)

    @property
    def epochs(self) -> int:
        return known(self.recipe).epochs


@dataclass(frozen=True)
class Pruned:
    """The network of a phase with channels cut, or converted."""

    start: Phase
    cut: Cut | Conversion
    """Its `drop`, where it is a number, counts from the unpruned network: channels that an earlier cut gave back, to
    round widths up, go now. Where it is a function, as for a budget, it selects once the network has scores."""

    def then(self, name: str, recipe: Recipe | Deferred[Recipe], teacher: Phase | None = None) -> Phase:
        """The phase that fine-tunes the pruned network."""
        return Phase(name, recipe, self, teacher=teacher)

    @property
    def channels(self) -> int:
        """Channels of the unpruned network."""
        start = phases_to(self)[0].start
        assert isinstance(start, Initial)
        return known(start.spec).channels


@dataclass(frozen=True)
class Compared:
    """A network that is set beside others of the same cost."""

    selection: str
    budget: Budget
    phase: Phase
    """Its last training."""


@dataclass(frozen=True)
class OneByOne:
    """Cuts of the network of a phase, one layer at a time."""

    start: Phase
    criterion: str
    shares: tuple[float, ...]
    """Widths, as shares of each layer's own."""
    recalibrate: int
    """Training images for BN statistics after each cut; 0 leaves them."""


@dataclass(frozen=True)
class Flow:
    """One run of an experiment: its settings, and the networks and cuts that its record holds."""

    experiment: str
    settings: FlowSettings
    networks: tuple[Phase, ...]
    """Phases whose networks the record holds by name; the first one trains the unpruned network."""
    steps: tuple[Phase | Pruned, ...] = ()
    """Cuts of the pruned network in order, each as it is or as the phase that fine-tunes it. A single phase without a
    cut before it trains another network."""
    sweep: tuple[Pruned, ...] = ()
    """Cuts that are evaluated only, also with the constants of dropped channels absorbed."""
    compared: tuple[Compared, ...] = ()
    packed_bits: tuple[int, ...] = ()
    """Bits of the weights, when the last step's network is stored in few bytes, too."""
    one_by_one: OneByOne | None = None

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All phases of the run, each after those that it needs."""
        ordered: dict[Phase, None] = {}

        def visit(phase: Phase) -> None:
            if phase not in ordered:
                for before in needs(phase):
                    visit(before)
                ordered.setdefault(phase)

        for node in (*self.steps, *self.sweep, *self._compared, *self.networks):
            visit(node if isinstance(node, Phase) else node.start)
        return tuple(ordered)

    @property
    def base(self) -> tuple[Phase, ...]:
        """Phases before the first cut, all of which must have learned; none in a flow that does not cut."""
        cut = [phase for phase in self._compared if isinstance(phase.start, Pruned)]
        alone = () if self.one_by_one is None else (self.one_by_one.start,)
        phases = [phases_to(node) for node in (*self.steps, *self.sweep, *cut, *alone)][:1]
        return tuple(takewhile(lambda phase: not (phase.soft or isinstance(phase.start, Pruned)), chain(*phases)))

    @property
    def _compared(self) -> tuple[Phase, ...]:
        return tuple(network.phase for network in self.compared)

    @property
    def recipes(self) -> dict[str, Recipe]:
        """Recipes by name of the phase, as far as they are known before training."""
        return {phase.name: phase.recipe for phase in self.phases if isinstance(phase.recipe, Recipe)}


def known(value: T | Deferred[T]) -> T:
    """The value, or the guess at it."""
    return value.guess if isinstance(value, Deferred) else value


def phases_to(network: Initial | Phase | Pruned) -> tuple[Phase, ...]:
    """The phases that a network goes through, in order."""
    if isinstance(network, Initial):
        return ()
    before = phases_to(network.start)
    return (*before, network) if isinstance(network, Phase) else before


def needs(phase: Phase) -> tuple[Phase, ...]:
    """The phases that must be trained before `phase`."""
    start, taught = phase.start, () if phase.teacher is None else (phase.teacher,)
    deferred = (phase.recipe, phase.soft, start.spec if isinstance(start, Initial) else None)
    cuts = [cut for value in deferred if isinstance(value, Deferred) for cut in value.cuts]
    phases = (node.start if isinstance(node, Pruned) else node for node in (start, *cuts, *taught))
    return tuple(dict.fromkeys(node for node in phases if isinstance(node, Phase)))


def initial(settings: FlowSettings, info: DatasetInfo) -> Initial:
    """The untrained network of the settings."""
    weights = recipes_for(settings, info).weights
    return Initial(info.digest, settings.seed, settings.unpruned(info), weights, settings.narrow)


def sparse_network(settings: FlowSettings, info: DatasetInfo) -> Phase:
    """The network that flows cut: after the dense phase and the sparse one; on a pretrained trunk the classifier's
    first."""
    return chain_of(base_recipes(recipes_for(settings, info)), initial(settings, info))[-1]


def chain_of(recipes: Mapping[str, Recipe], start: Initial) -> tuple[Phase, ...]:
    """Phases by name, each of which trains on the network of the one before."""
    phases: list[Phase] = []
    for name, recipe in recipes.items():
        phases.append(Phase(name, recipe, phases[-1] if phases else start))
    return tuple(phases)


def narrow_from_the_start(
    name: str, start: Initial, classifier: Recipe | None, recipe: Recipe | Deferred[Recipe], teacher: Phase | None
) -> Phase:
    """The last phase of a network that is narrow from its initial weights on. A pretrained trunk keeps the channels
    with the largest |γ|, and its classifier is trained first."""
    start = replace(start, narrow=start.weights != "none")
    first = Phase("classifier", classifier, start) if start.narrow and classifier else start
    return Phase(name, recipe, first, teacher=teacher)


def with_controls(
    sparse: Phase,
    settings: TuneSettings,
    info: DatasetInfo,
    tuning: Recipe | Deferred[Recipe],
    teacher: Phase | None = None,
) -> tuple[Phase, ...]:
    """The phases up to `sparse`, and the unpruned networks that are trained for as many epochs as a pruned one.

    "control" is the sparse network fine-tuned by `tuning`; with distillation it learns from `teacher`, which is that of
    `teacher_of` if not given. "dense-as-long" is the dense network trained without L1 in one phase: what all the epochs
    alone are worth. The settings decide which of them there are."""
    phases, recipes = phases_to(sparse), recipes_for(settings, info)
    *_, dense, _sparse = phases
    as_long: tuple[Phase, ...] = ()
    if settings.has_dense_as_long(info):
        recipe = applied(lambda recipe: recipes.as_long(recipe.epochs), tuning)
        as_long = (Phase("dense-as-long", recipe, dense.start),)
    teacher = teacher or teacher_of((*phases, *as_long), settings)
    control = (sparse.then("control", tuning, teacher),) if settings.control else ()
    return (*phases, *control, *as_long)


def teacher_of(networks: Sequence[Phase], settings: TuneSettings) -> Phase | None:
    """The phase whose network teaches with distillation: the dense one, trained as long where it is among `networks`;
    None without distillation."""
    named = {phase.name: phase for phase in networks}
    return named.get("dense-as-long", named["dense"]) if settings.distil else None


def applied(function: Callable[[T], U], value: T | Deferred[T]) -> U | Deferred[U]:
    """The function of a value, deferred as the value is."""
    if isinstance(value, Deferred):
        deferred = value.value
        return Deferred(value.cuts, lambda *steps: function(deferred(*steps)), function(value.guess))
    return function(value)


def recipes_after(
    cuts: Sequence[Pruned], settings: FlowSettings, info: DatasetInfo, value: Callable[[Recipes], T]
) -> T | Deferred[T]:
    """A value of the recipes for the share that is cut, the largest of several.

    Known at once where the settings name the share, deferred where a budget decides."""
    whole, guess = settings.unpruned(info).channels, value(recipes_for(settings, info))

    def after(*steps: PruneStep) -> T:
        return value(recipes_for(settings, info, 1 - min(step.spec.channels for step in steps) / whole))

    return Deferred(tuple(cuts), after, guess) if settings.cutting().by_budget else guess


def cut_of(settings: PruneSettings, info: DatasetInfo, criterion: str = "bn-scale") -> Cut:
    """The cut that the settings ask for, of the unpruned network."""
    return settings.cut(settings.to_drop(settings.unpruned(info), info.side), criterion)
