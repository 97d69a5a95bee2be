"""Records: the values that runs are described and measured in. They load no torch."""

from bcnn_prune.records.compared import ComparedNetwork
from bcnn_prune.records.confusion import ConfusionMatrix
from bcnn_prune.records.dataset import DatasetInfo
from bcnn_prune.records.measures import Cost, Evaluation, Latency, SpeedUp
from bcnn_prune.records.packed import PackedNetwork
from bcnn_prune.records.recipe import Augmentation, Distillation, Recipe, SoftPruningSchedule, WeightPruningSchedule
from bcnn_prune.records.run import RECORD, VERSION, PruneStep, RunKey, RunRecord, from_json, read_record, to_json
from bcnn_prune.records.training import NEAR_ZERO, EpochStats, History, SoftPruningEvent

__all__ = [
    "NEAR_ZERO",
    "RECORD",
    "VERSION",
    "Augmentation",
    "ComparedNetwork",
    "ConfusionMatrix",
    "Cost",
    "DatasetInfo",
    "Distillation",
    "EpochStats",
    "Evaluation",
    "History",
    "Latency",
    "PackedNetwork",
    "PruneStep",
    "Recipe",
    "RunKey",
    "RunRecord",
    "SoftPruningEvent",
    "SoftPruningSchedule",
    "SpeedUp",
    "WeightPruningSchedule",
    "from_json",
    "read_record",
    "to_json",
]
