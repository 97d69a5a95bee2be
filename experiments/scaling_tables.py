"""The cost page's tables, of the measured points and nothing else."""

import math
from collections.abc import Iterator

import numpy as np

from experiments.estimate import in_words
from experiments.grid_cost import GRIDS, Machine, bill, image_set
from thesis_figures.scaling import BACKWARD, Formula, Measured, Point, median
from thesis_figures.tables.table import Column, Row, Table

WIDTH, SIDE, BATCH = Column("width", "width", "g"), Column("side", "side, px", "d"), Column("batch", "batch", "d")
GMACS = Column("gmacs", "G multiply-adds, forward", ".4g")
POINTS = (
    *(WIDTH, SIDE, BATCH, GMACS, Column("held_out", "held out")),
    *(Column("training_ms", "training, ms an image", ".2f"), Column("training_error", "formula", "+.0%")),
    *(Column("evaluating_ms", "evaluation, ms an image", ".2f"), Column("evaluating_error", "formula", "+.0%")),
)
FORMULAS = (
    *(Column("what", "seconds of an image"), Column("an_image", "a, ms", ".3g")),
    *(Column("a_mac", "b, ms per G multiply-adds", ".3g"), Column("rate", "1/b, GFLOP/s", ",.0f")),
    *(Column("fitted", "median error, fitted to", ".0%"), Column("held_out", "median error, held out", ".0%")),
    Column("worst", "largest error, held out", "+.0%"),
)
BILLS = (
    *(Column("grid", "grid"), Column("runs", "runs", "d"), Column("phases", "phases", "d")),
    *(Column("epochs", "epochs", ",d"), Column("images", "images", ",d"), SIDE, GMACS, Column("machine", "on")),
    *(Column("how", "how known"), Column("ms", "ms a training image", ".3g"), Column("time", "at most")),
    Column("chain", "longest chain"),
)
GROWTH = (Column("twice", "twice as"), Column("times", "times the time", ".2f"))


def tables(found: Measured, tflops: float, step_ms: float) -> list[Table]:
    """Points, formulas, grids, growth."""
    machine = f"{found.provenance['cpu']}, {found.provenance['threads']} threads, torch {found.provenance['torch']}"
    errors = "Formula: what it says, relative to the median that was measured."
    assumed = (
        f"Extrapolated: no GPU was measured. Assumed is one that sustains {tflops:g} TFLOP/s in training and needs "
        f"{step_ms:g} ms a step on top, and as many runs at once as there are GPUs."
    )
    bound = "At most: pruned networks are taken for as dear as whole ones. Longest chain: of runs that build on others."
    formulas = [
        _formula("training, forward and backward", found, BACKWARD),
        _formula("evaluation", found, 1),
    ]
    return [
        Table("grids", "What the chapter costs", BILLS, tuple(_bills(found)), (machine, bound, assumed)),
        Table("formulas", "The formula: a + b × multiply-adds", FORMULAS, tuple(formulas), (machine, errors)),
        Table("growth", "How the drawn sets' cost grows on this machine", GROWTH, tuple(_growth(found))),
        Table("points", "Points measured", POINTS, tuple(_points(found)), (machine, errors)),
    ]


def _bills(found: Measured) -> Iterator[Row]:
    most = max(point.macs for point in found.fitted())
    inside, beyond = "formula, within its points", "extrapolated: formula, beyond its points"
    for one in found.bills:
        yield {
            **{name: getattr(one, name) for name in ("grid", "runs", "phases", "epochs", "images", "side", "machine")},
            "gmacs": one.macs / 1e9,
            "how": "extrapolated: GPU as assumed" if one.extrapolated else inside if one.macs <= most else beyond,
            "ms": 1e3 * one.an_image,
            "time": in_words(one.seconds),
            "chain": in_words(one.chain),
        }


def _of(found: Measured, times: int) -> tuple[Formula, dict[Point, float]]:
    """The formula, and its relative error at each point."""
    formula = found.training() if times == BACKWARD else found.evaluating()
    seconds = {p: median(p.training if times == BACKWARD else p.evaluating) for p in found.points}
    return formula, {point: formula(times * point.macs) / took - 1 for point, took in seconds.items()}


def _formula(what: str, found: Measured, times: int) -> Row:
    formula, errors = _of(found, times)
    inside, outside = ([errors[p] for p in points] for points in (found.fitted(), found.held_out()))
    return {
        "what": what,
        "an_image": 1e3 * formula.an_image,
        "a_mac": 1e12 * formula.a_mac,
        "rate": 2e-9 / formula.a_mac if formula.a_mac else math.inf,
        "fitted": float(np.median(np.abs(inside))),
        "held_out": float(np.median(np.abs(outside))) if outside else None,
        "worst": max(outside, key=abs) if outside else None,
    }


def _points(found: Measured) -> Iterator[Row]:
    training, evaluating = (_of(found, times)[1] for times in (BACKWARD, 1))
    for point in sorted(found.points, key=lambda point: (point.held_out, point.macs, point.batch)):
        yield {
            **{name: getattr(point, name) for name in ("width", "side", "batch")},
            "gmacs": point.macs / 1e9,
            "held_out": "yes" if point.held_out else "",
            "training_ms": 1e3 * median(point.training),
            "training_error": training[point],
            "evaluating_ms": 1e3 * median(point.evaluating),
            "evaluating_error": evaluating[point],
        }


def _growth(found: Measured) -> Iterator[Row]:
    """The drawn grid with one thing twice as large."""
    here = Machine("this machine", 1, False, found.training(), found.evaluating())
    infos = GRIDS["drawn sets"][:1]  # the others grow alike
    base = bill("", infos, 1, here).seconds

    def changed(side: int = 1, images: int = 1) -> float:
        larger = [
            image_set(
                info.name, side * info.side, info.classes, *(images * info.images[s] for s in ("train", "val", "test"))
            )
            for info in infos
        ]
        return bill("", larger, 1, here).seconds / base

    yield {"twice": "many images", "times": changed(images=2)}
    yield {"twice": "large a side", "times": changed(side=2)}
    yield {"twice": "wide", "times": bill("", infos, 1, here, width=0.5).seconds / base}
    yield {"twice": "many runs (two seeds)", "times": bill("", infos, 2, here).seconds / base}
