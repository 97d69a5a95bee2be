"""The smallest cut of each data set that is as accurate as the dense network, chosen on the val split."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bcnn_prune.records import Evaluation, PruneStep, RunRecord
from thesis_figures.analysis.runs import FLOWS, Runs, Spread, over_seeds, percent

EQUAL = 1.0
"""Points of accuracy that count as equal."""


@dataclass(frozen=True)
class Candidate:
    """One cut of a group of runs."""

    flow: str
    runs: Runs
    step: int

    @property
    def steps(self) -> list[PruneStep]:
        return [run.steps[self.step] for run in self.runs]

    @property
    def val(self) -> Spread | None:
        """Accuracy in percent on val, of the epoch that was kept after the cut; soft pruning keeps it before."""
        return percent(map(self._val, self.runs))

    @property
    def dense_val(self) -> Spread | None:
        return percent(run.training["dense"].kept.val for run in self.runs)

    @property
    def params_share(self) -> float:
        shares = [run.steps[self.step].cost.params / run.cost.params for run in self.runs]
        return Spread.of(shares).mean

    @property
    def is_equal(self) -> bool:
        """Whether val is at most EQUAL points below the dense network's, rounding of floats aside."""
        val, dense = self.val, self.dense_val
        return val is not None and dense is not None and round(dense.mean - val.mean, 9) <= EQUAL

    def _val(self, run: RunRecord) -> Evaluation | None:
        tuning = run.training.get("soft") if self.flow == "soft" else run.steps[self.step].fine_tuning
        return tuning.kept.val if tuning else None


def smallest_equal(records: Sequence[RunRecord]) -> dict[str, Candidate | None]:
    """By data set the cut with the fewest parameters that equals the dense network on val; None where none does."""
    candidates: dict[str, list[Candidate]] = {}
    for flow, belongs in FLOWS.items():
        for runs in over_seeds(filter(belongs, records)):
            found = candidates.setdefault(runs[0].data.name, [])
            found += [Candidate(flow, runs, i) for i in range(len(runs[0].steps))]
    return {data_set: _smallest(filter(lambda cut: cut.is_equal, found)) for data_set, found in candidates.items()}


def _smallest(candidates: Iterable[Candidate]) -> Candidate | None:
    return min(candidates, key=lambda candidate: (candidate.params_share, candidate.flow, candidate.step), default=None)
