"""Records of comparisons at equal cost: real widths and costs, random answers to every test image."""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.records import ComparedNetwork, Distillation, Evaluation, RunRecord
from bcnn_prune.records.compared import pack
from tests.helpers.random_records import IMAGES, RECIPE, SIDE, made
from thesis_figures.analysis.equal_cost import SELECTIONS

UNPRUNED = ("dense", "sparse", "control", "dense-as-long")


def compared(
    label: str,
    seed: int,
    budgets: Sequence[float] = (0.5, 0.3, 0.15),
    names: Sequence[str] = tuple(SELECTIONS),
    distil: bool = False,
) -> RunRecord:
    """A run of these ways at these budgets."""
    record = made("equal_cost", label, seed, (0.4,))
    settings = {"seed": seed, "keep_macs": "+".join(map(str, budgets)), "rules": "+".join(names)}
    recipes = dict.fromkeys((*UNPRUNED, "fine-tune"), RECIPE)
    if distil:
        settings["distil"] = True
        recipes |= dict.fromkeys(("control", "fine-tune"), replace(RECIPE, distillation=Distillation(4, 0.9)))
    tested = {name: _answers(f"{label} {seed} {name} {distil and name == 'control'}", 0.7) for name in UNPRUNED}
    return replace(
        record,
        settings=settings,
        recipes=recipes,
        training=dict.fromkeys(UNPRUNED, record.training["dense"]),
        test={name: test for name, (test, _) in tested.items()},
        correct={name: bits for name, (_, bits) in tested.items()},
        steps=(),
        latency={},
        compared=tuple(_network(record, name, budget, distil) for budget in budgets for name in names),
    )


def _network(record: RunRecord, name: str, budget: float, distil: bool) -> ComparedNetwork:
    text = f"{record.data.name} {record.seed} {name} {budget} {distil}"
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    shares = budget**0.5 * rng.uniform(0.7, 1.2, len(record.spec.widths))
    widths = tuple(max(4, min(w, round(w * share))) for w, share in zip(record.spec.widths, shares, strict=True))
    spec = replace(record.spec, widths=widths)
    test, bits = _answers(text, rng.uniform(0.2, 0.65) * budget**0.2)
    return ComparedNetwork(name, budget, spec, total_cost(spec, SIDE), test, test, test, bits)


def _answers(text: str, accuracy: float) -> tuple[Evaluation, str]:
    flags = np.random.default_rng(zlib.crc32(text.encode())).random(IMAGES) < accuracy
    return Evaluation(IMAGES, int(flags.sum())), pack(flags)
