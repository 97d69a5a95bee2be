"""Random records of every experiment: consistent in all that a reader checks, random in what was measured."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bcnn_prune.datasets import DatasetName
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records import (
    Augmentation,
    DatasetInfo,
    EpochStats,
    Evaluation,
    History,
    Latency,
    PruneStep,
    Recipe,
    RunRecord,
    SoftPruningEvent,
)
from bcnn_prune.records.sensitivity import Sensitivity
from bcnn_prune.spec import ModelSpec

IMAGES, SIDE, EPOCHS = 1250, 64, 3
RATES = (0.2, 0.4, 0.6, 0.8)
RECIPE = Recipe(EPOCHS, 0.01, 16, "cosine", Augmentation())
UNPRUNED = ("dense", "sparse", "control")
CRITERIA = ("bn-scale", "filter-norm", "taylor", "random")


def every_run(
    labels: Sequence[str], seeds: Sequence[int], rates: Sequence[float] = RATES, width: float = 0.25
) -> list[RunRecord]:
    """One run of each experiment, set, seed and rate."""
    return [record for label in labels for seed in seeds for record in _of_seed(label, seed, rates, width)]


def _of_seed(label: str, seed: int, rates: Sequence[float], width: float) -> Iterator[RunRecord]:
    for rate in rates:
        yield made("oneshot", label, seed, (rate,), width=width)
        yield made("oneshot", label, seed, (rate,), width=width, last_sparsity=0.025)
    for rate in rates[:-1]:
        yield _softened(made("soft", label, seed, (rate,), width=width))
    yield made("iterative", label, seed, rates, width=width)
    yield made("iterative", label, seed, rates[-1:], width=width, steps="1")
    for criterion in CRITERIA:
        yield made("criteria", label, seed, (0.6,), width=width, criterion=criterion)
    yield _from_scratch(made("scratch", label, seed, (0.6,), width=width))
    yield _swept(made("sweep", label, seed, (0.1, 0.3, 0.5, 0.7, 0.9), width=width))
    yield _one_by_one(made("sensitivity", label, seed, (0.5,), width=width))


def made(
    experiment: str,
    label: str,
    seed: int,
    rates: Sequence[float],
    width: float = 0.25,
    last_sparsity: float | None = None,
    **settings: str,
) -> RunRecord:
    """A run that cuts to each of the rates in turn."""
    rng = np.random.default_rng(zlib.crc32(f"{experiment} {label} {seed} {rates} {last_sparsity} {settings}".encode()))
    spec = ModelSpec.of("vgg16", 50, width)
    scales = _scales(spec, label, seed, heavier=last_sparsity is not None)
    before, steps = spec, list[PruneStep]()
    for rate in rates:
        steps.append(_cut(spec, before, scales, rate, rng))
        before = steps[-1].spec
    dense = float(rng.uniform(3, 6))
    latency = Latency(dense, dense * 0.95, dense * 1.1, 30, 1, 1)
    pruned = dense * (1 - 0.6 * rates[-1] + float(rng.normal(0, 0.02)))
    return RunRecord(
        experiment=experiment,
        settings={"dataset": label, "seed": seed, "last_sparsity": last_sparsity, "prune": rates[-1], **settings},
        seed=seed,
        data=_info(label),
        spec=spec,
        cost=total_cost(spec, SIDE),
        recipes=dict.fromkeys((*UNPRUNED, "fine-tune"), RECIPE),
        training={name: _history(rng) for name in UNPRUNED},
        test={name: _found(rng, 0.98) for name in UNPRUNED},
        scales=scales,
        steps=tuple(steps),
        latency={"dense": latency, "pruned": replace(latency, median_ms=pruned)},
    )


def _info(label: str) -> DatasetInfo:
    known, names = DatasetName.parse(label), tuple(map(str, range(50)))
    return DatasetInfo(label, known.family, known.kind, SIDE, names, {"test": IMAGES}, (1, 1), (1, 1), (1, 1), "digest")


def _softened(record: RunRecord) -> RunRecord:
    rng = _rng(record)
    share = float(record.settings["prune"] or 0)
    epochs = []
    for epoch in range(1, 2 * EPOCHS + 1):
        after = _found(rng, 0.95 - share / (1 + epoch))
        jaccard = None if epoch == 1 else float(1 - 0.4 / epoch + rng.normal(0, 0.02))
        zeroing = SoftPruningEvent(round(share * record.spec.channels), _found(rng, 0.96), after, jaccard)
        epochs.append(EpochStats(epoch, 0.01, 0.1, after, after, share, 1.0, zeroing))
    steps = tuple(replace(step, fine_tuned=None) for step in record.steps)
    soft = History(tuple(epochs), len(epochs))
    return replace(
        record,
        steps=steps,
        training={**record.training, "soft": soft},
        settings={**record.settings, "every": 1, "ramp": 1},
    )


def _from_scratch(record: RunRecord) -> RunRecord:
    rng = _rng(record)
    test = {**record.test, "scratch-epochs": _found(rng, 0.94), "scratch-compute": _found(rng, 0.96)}
    training = {**record.training, "scratch-epochs": _history(rng), "scratch-compute": _history(rng)}
    recipes = {**record.recipes, "scratch-epochs": RECIPE, "scratch-compute": RECIPE}
    return replace(record, test=test, training=training, recipes=recipes)


def _swept(record: RunRecord) -> RunRecord:
    """Its cuts made one beside the other."""
    cuts = []
    for rate, step in zip((0.1, 0.3, 0.5, 0.7, 0.9), record.steps, strict=True):
        absorbed = Evaluation(IMAGES, (step.rebuilt.correct + IMAGES) // 2 if rate < 0.7 else step.rebuilt.correct)
        cuts.append(replace(step, fine_tuned=None, absorbed=absorbed))
    settings = {name: value for name, value in record.settings.items() if name != "prune"}
    return replace(record, steps=(), sweep=tuple(cuts), settings=settings, latency={"dense": record.latency["dense"]})


def _one_by_one(record: RunRecord) -> RunRecord:
    """With each layer alone cut to four widths."""
    rng, spec = _rng(record), record.spec
    widths = {layer: tuple(width * eighth // 8 for eighth in (1, 2, 4, 6)) for layer, width in spec.width_of.items()}
    correct = {at: tuple(_found(rng, 0.9 - 0.5 / width).correct for width in tried) for at, tried in widths.items()}
    found = Sensitivity("bn-scale", _found(rng, 0.95), widths, correct)
    return replace(record, steps=(), latency={"dense": record.latency["dense"]}, sensitivity=found)


def _scales(spec: ModelSpec, label: str, seed: int, heavier: bool) -> dict[str, tuple[float, ...]]:
    rng = np.random.default_rng(zlib.crc32(f"{label} {seed} {heavier}".encode()))
    scales = {}
    for layer, width in spec.width_of.items():
        at_zero = 0.7 if heavier and layer == spec.layers[-1] else 0.25
        values = np.abs(rng.normal(0.3, 0.12, width)) * (rng.random(width) >= at_zero)
        scales[layer] = tuple(float(f"{value:.6g}") for value in values)
    return scales


def _cut(
    spec: ModelSpec, before: ModelSpec, scales: dict[str, tuple[float, ...]], rate: float, rng: np.random.Generator
) -> PruneStep:
    """A cut down to 1 - rate of all channels, in the numbering of the network before it."""
    everything = np.sort(np.concatenate([np.asarray(values) for values in scales.values()]))
    threshold = float(everything[round(rate * len(everything))])
    kept = {layer: max(4, int((np.asarray(values) > threshold).sum())) for layer, values in scales.items()}
    kept = {layer: min(count, before.width_of[layer]) for layer, count in kept.items()}
    plan = ChannelPlan({layer: tuple(range(count)) for layer, count in kept.items()})
    after = plan.narrow(before)
    broken = rate > 0.3
    return PruneStep(
        plan=plan,
        spec=after,
        cost=total_cost(after, SIDE),
        threshold=threshold,
        certificate=1e-7,
        rebuilt=_found(rng, 0.95 if not broken else 0.6 - 0.6 * rate),
        recalibrated=_found(rng, 0.97 if rate < 0.55 else 1.2 - 1.3 * rate),
        fine_tuned=_found(rng, 0.98 if rate < 0.7 else 0.6),
        fine_tuning=_history(rng),
    )


def _history(rng: np.random.Generator) -> History:
    return History((EpochStats(1, 0.01, 0.1, _found(rng, 1), _found(rng, 1), 0.0, 1.0),), 1)


def _found(rng: np.random.Generator, accuracy: float) -> Evaluation:
    return Evaluation(IMAGES, int(np.clip(IMAGES * (accuracy + rng.normal(0, 0.005)), 0, IMAGES)))


def _rng(record: RunRecord) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{record.data.name} {record.seed} {record.settings['prune']}".encode()))
