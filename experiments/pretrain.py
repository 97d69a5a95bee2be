"""Pretrain a trunk on any prepared set, for the --weights of every flow.

    python -m experiments.pretrain --dataset cars --width 0.25 --epochs 34 --batch 256

trains a VGG, or another --backbone, with an average head from fresh weights. It ends with a table, a record and
trunk.safetensors in runs/pretrain: convolutions and BatchNorms, named as torchvision or timm name them, with a
description of set, recipe, seed and val accuracy in the file. Interrupted, it resumes from its last whole epoch when
the same command is given again."""

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from bcnn_prune.command_line.check import at_least
from bcnn_prune.model.checkpoint import write_tensors
from bcnn_prune.model.pretrained_files import published_layout
from bcnn_prune.phase import TrainedNetwork
from bcnn_prune.records import DatasetInfo, Evaluation, Recipe
from bcnn_prune.records.json_file import to_fields
from bcnn_prune.spec import ModelSpec
from experiments.recipes import pretraining
from experiments.run import cli
from experiments.run.execute import FlowRun, announce_time
from experiments.run.flow import Flow, Phase, initial
from experiments.run.record import reserve, run_folder
from experiments.run.run import prepare_run, require_trainable_phases
from experiments.run.settings import REDUCED, recipes_for
from experiments.run.unpruned_settings import UnprunedSettings

FILE = "trunk.safetensors"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Settings(UnprunedSettings):
    """The settings of networks that are not cut, and the epochs."""

    weights: str | None = "none"
    """none, or what to train on from: imagenet, tiny, or a file of torchvision or timm."""
    epochs: int | None = None
    """The recipe's if not given."""
    dense_epochs: tyro.conf.Suppress[int | None] = None
    head: tyro.conf.Suppress[str] = "average"
    reduce_to: tyro.conf.Suppress[int] = REDUCED

    def check(self) -> None:
        super().check()
        at_least(1, epochs=self.epochs)


@dataclass(frozen=True)
class TrunkInfo:
    """The training of a trunk, as its file tells it."""

    dataset: str
    data_digest: str
    side: int
    """Pixels."""
    spec: ModelSpec
    """The network that was trained: its widths, its head, and the classes of the set."""
    recipe: Recipe
    seed: int
    val: Evaluation
    """Of the kept epoch."""


def planned(settings: Settings, info: DatasetInfo) -> Flow:
    """The dense phase alone, under an average head."""
    start = replace(initial(settings, info), spec=settings.unpruned(info).bare)
    return Flow("pretrain", settings, (Phase("dense", pretraining(settings.epochs, settings.batch), start),))


def main(settings: Settings) -> None:
    settings.check()
    run = prepare_run(settings)
    flow = planned(settings, run.info)
    require_trainable_phases(flow, run.info, run.context.execution.ranks.world)
    run.on_rank_zero(lambda: reserve(flow, run.info))
    announce_time(run, (flow,))
    execution = FlowRun(run, flow)
    trained = execution.train(flow.networks[0])
    path = run_folder(settings, "pretrain", run.info) / FILE
    run.on_rank_zero(lambda: write_trunk(path, trained, run.info, settings.seed))
    execution.finish()
    words = ["--width", f"{recipes_for(settings, run.info).width:g}", "--weights", str(path)]
    if settings.backbone != Settings.backbone:
        words = ["--backbone", settings.backbone, *words]
    run.console.print(f"Use it in any flow of this width: {shlex.join(words)}")


def write_trunk(path: Path, trained: TrainedNetwork, info: DatasetInfo, seed: int) -> None:
    """Write the trunk as `published_layout` names it, whole or not at all, with its description in the metadata."""
    about = TrunkInfo(
        info.name, info.digest, info.side, trained.model.spec, trained.recipe, seed, trained.history.kept.val
    )
    description = json.dumps(to_fields(about, VERSION), ensure_ascii=False)
    write_tensors(path, published_layout(trained.model), {"about": description})


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
