"""Run records: the settings, results and provenance of a run, as one JSON file.

A record is enough to redo the run and is all that a table or figure reads. Counts, not percentages."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from bcnn_prune.datasets import DatasetName
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.records import json_file
from bcnn_prune.records.compared import Bits, ComparedNetwork
from bcnn_prune.records.confusion import ConfusionMatrix
from bcnn_prune.records.dataset import DatasetInfo
from bcnn_prune.records.json_file import CONVERTER, with_backbone
from bcnn_prune.records.measures import Cost, Evaluation, Latency
from bcnn_prune.records.packed import PackedNetwork
from bcnn_prune.records.recipe import Recipe
from bcnn_prune.records.sensitivity import Sensitivity
from bcnn_prune.records.training import EpochStats, History
from bcnn_prune.spec import ModelSpec

VERSION = 2
RECORD = "record.json"
"""The record among all files of its run."""

RunKey = tuple[str, str]
"""See RunRecord.key."""


@dataclass(frozen=True)
class PruneStep:
    """One cut: the plan in the numbering of the network before it, and test counts at each stage after it.

    The stages are those of one network, in order, but for `absorbed`, which stands beside them."""

    plan: ChannelPlan
    spec: ModelSpec
    cost: Cost
    threshold: float
    """The largest score that was dropped; 0 if none was."""
    certificate: float
    """Largest difference between the logits of the rebuilt and the silenced network, relative to the largest logit (and
    of the absorbed network and the one that it stands for, where that is larger)."""
    rebuilt: Evaluation
    recalibrated: Evaluation | None
    """None where BN statistics were left as they were."""
    fine_tuned: Evaluation | None = None
    """None where the cut is the end: in a sweep, and after soft pruning."""
    fine_tuning: History | None = None
    absorbed: Evaluation | None = None
    """The rebuilt network with what dropped channels went on emitting, ReLU(β), folded into the next BN; a sweep's."""
    repaired: Evaluation | None = None
    """After the rebuilt network's weights were fitted by least squares; None where they were left as cut."""
    confusion: ConfusionMatrix | None = None
    """Of the last stage, on test; None in a sweep, and in records from before it was kept."""
    method: str = ""
    """How else than by cutting channels the network was made: `plan` then keeps all channels of `spec`."""
    packed: tuple[PackedNetwork, ...] = ()
    """The last stage as files of few bytes."""

    @property
    def final(self) -> Evaluation:
        """The last stage."""
        return self.fine_tuned or self.recalibrated or self.repaired or self.rebuilt


@dataclass(frozen=True)
class RunRecord:
    """One run: what it was told, what it did, what came out.

    `training` and `test` go by the network's name: dense; sparse; control, the sparse network fine-tuned without a cut;
    soft; scratch. Fine-tuning stands with its step. The test split is read to report only."""

    experiment: str
    settings: Mapping[str, str | int | float | bool | None]
    seed: int
    data: DatasetInfo
    spec: ModelSpec
    """The network before any cut."""
    cost: Cost
    recipes: Mapping[str, Recipe]
    training: Mapping[str, History]
    test: Mapping[str, Evaluation]
    scales: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """|γ| of the sparse network by layer, to six significant digits."""
    steps: tuple[PruneStep, ...] = ()
    """Cuts one after the other."""
    sweep: tuple[PruneStep, ...] = ()
    """Cuts of the same network, one beside the other."""
    latency: Mapping[str, Latency] = field(default_factory=dict)
    confusion: Mapping[str, ConfusionMatrix] = field(default_factory=dict)
    """Of the networks in `test`, on the same images; empty where networks are compared, and in records from before it
    was kept."""
    compared: tuple[ComparedNetwork, ...] = ()
    """Networks that were cut from the sparse one in different ways, at equal cost."""
    correct: Mapping[str, Bits] = field(default_factory=dict)
    """Of the networks in `test`, the images that each is right on; where networks are compared."""
    sensitivity: Sensitivity | None = None
    """Of the sparse network, where layers were cut one by one."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Versions, machine, device, threads and when; where several processes trained, how many."""

    @property
    def key(self) -> RunKey:
        """The images and the settings, which tell a run from others."""
        return self.data.digest, repr(self.settings)

    @property
    def is_exercise(self) -> bool:
        """Whether the run is one of a course document's experiments, which train networks and prune none."""
        return self.experiment.startswith("exercises.")

    def repeatable(self) -> "RunRecord":
        """The record without clocks and machine: what a second run on the same machine gives again exactly."""
        return replace(
            self,
            training={phase: history.without_clock() for phase, history in self.training.items()},
            steps=tuple(
                replace(step, fine_tuning=step.fine_tuning and step.fine_tuning.without_clock()) for step in self.steps
            ),
            latency={},
            provenance={},
        )


# Records from before there were these fields have none, and stay as they are. Each class comes after those it holds.
_LATER = override(omit_if_default=True)
CONVERTER.register_unstructure_hook(
    Recipe,
    make_dict_unstructure_fn(Recipe, CONVERTER, sparsity_share=_LATER, scale_weight_decay=_LATER, distillation=_LATER),
)
CONVERTER.register_unstructure_hook(
    ComparedNetwork, make_dict_unstructure_fn(ComparedNetwork, CONVERTER, keep_ms=_LATER)
)
CONVERTER.register_unstructure_hook(
    PackedNetwork, make_dict_unstructure_fn(PackedNetwork, CONVERTER, nonzero_macs=_LATER)
)
CONVERTER.register_unstructure_hook(EpochStats, make_dict_unstructure_fn(EpochStats, CONVERTER, label_loss=_LATER))
CONVERTER.register_unstructure_hook(
    PruneStep,
    make_dict_unstructure_fn(PruneStep, CONVERTER, repaired=_LATER, confusion=_LATER, method=_LATER, packed=_LATER),
)
CONVERTER.register_unstructure_hook(
    RunRecord,
    make_dict_unstructure_fn(
        RunRecord, CONVERTER, confusion=_LATER, compared=_LATER, correct=_LATER, sensitivity=_LATER
    ),
)
_structure_info = make_dict_structure_fn(DatasetInfo, CONVERTER, _cattrs_forbid_extra_keys=True)


@CONVERTER.register_structure_hook
def _with_family_and_kind(fields: Any, _: type[DatasetInfo]) -> DatasetInfo:
    """The set of a record; of one from before sets had a family and a kind, with those that its name told."""
    stored = DatasetName.stored(str(fields["name"]), fields.get("family"), fields.get("kind"))
    return _structure_info({**fields, "family": stored.family, "kind": stored.kind}, DatasetInfo)


_structure_record = make_dict_structure_fn(RunRecord, CONVERTER, _cattrs_forbid_extra_keys=True)


@CONVERTER.register_structure_hook
def _record(fields: Any, _: type[RunRecord]) -> RunRecord:
    """The record of a file, whose settings name a backbone, too."""
    settings = {"settings": with_backbone(fields["settings"])} if "settings" in fields else {}
    return _structure_record({**fields, **settings}, RunRecord)


def to_json(record: RunRecord) -> str:
    """JSON text of a record, keys in the order of the fields."""
    return json_file.to_json(record, VERSION)


def from_json(text: str) -> RunRecord:
    """The record in a text of `to_json`. Raises ValueError for any other text, naming what is wrong."""
    try:
        return json_file.parse(text, RunRecord, VERSION)
    except ValueError as error:
        raise ValueError(f"this is no run record: {error}") from error


def read_record(path: Path) -> RunRecord:
    """The record in a file. Raises ValueError that names the file, OSError where it cannot be read."""
    return json_file.read(path, RunRecord, "run record", VERSION)
