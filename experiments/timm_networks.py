"""Train small networks of timm on the same images, to compare with networks that are made small.

    python -m experiments.timm_networks --dataset cars
    python -m experiments.timm_networks --dataset cars --networks mobilenetv2_050 --weights imagenet

Networks start from fresh weights, or from those that timm publishes for ImageNet, and train by the recipe of the course
documents' networks on photographs. Each ends in runs/timm_networks with a record and its weights; of a network whose
record is among --results already, only that is copied. A run that was stopped goes on from its last whole epoch."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import timm
import torch
from rich.console import Console

from bcnn_prune.command_line.check import at_least, some
from bcnn_prune.data.batches import Split
from bcnn_prune.evaluation.accuracy import confusion_matrix, evaluate
from bcnn_prune.execution import Execution
from bcnn_prune.files import folder_lock, require_writable, write_text
from bcnn_prune.model.checkpoint import write_tensors
from bcnn_prune.model.timm_network import TimmNetwork
from bcnn_prune.phase import METHOD
from bcnn_prune.pruning.sparsity import ScaleL1
from bcnn_prune.records import RECORD, Cost, DatasetInfo, Recipe, json_file
from bcnn_prune.records.json_file import to_json
from bcnn_prune.records.timm_network import FOLDER, TimmNetworkRecord
from bcnn_prune.training.fit import fit
from bcnn_prune.training.resume import EpochCheckpoints
from experiments.recipes import recipes_of, with_length
from experiments.run import cli
from experiments.run.console import TerminalCallback, terminal
from experiments.run.datasets import find_dataset
from experiments.run.device import autocast_for, device_for, read_splits
from experiments.run.provenance import number_format, provenance

NETWORKS = ("mobilenetv2_100", "mobilenetv3_small_100")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The images, the networks and how they are trained."""

    dataset: str
    """aircraft, birds or cars; drawn-cars for the synthetic set; a prepared subset such as cars50; or your own set."""
    data: Path | None = None
    """The HDF5 file, if it is not data/<dataset>.h5."""
    classes: int = 20
    """Classes of a synthetic set."""
    networks: tuple[str, ...] = NETWORKS
    """timm's names."""
    weights: Literal["none", "imagenet"] = "none"
    """none: fresh ones. imagenet: those that timm takes by default for the name, fetched from the Hugging Face hub."""
    epochs: int | None = None
    """The recipe's if not given."""
    batch: int | None = None
    """The recipe's if not given."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format in training; auto takes bf16 where the processor computes in it."""
    out: Path = Path("runs")
    """Folder of checkpoints and results."""
    results: Path | None = None
    """Also write the records to <results>/timm_networks/<set>, for thesis_figures."""

    def check(self) -> None:
        """Raise ValueError for a value that cannot work."""
        at_least(1, epochs=self.epochs, batch=self.batch)
        at_least(0, seed=self.seed)
        some(" ".join(NETWORKS), networks=self.networks)
        for name in self.networks:
            if not timm.is_model(name):
                raise ValueError(f"timm has no network {name}: take one of timm.list_models(), such as {NETWORKS[0]}")


@dataclass(frozen=True)
class Images:
    """The splits of a set, and how networks are computed on them."""

    info: DatasetInfo
    splits: Mapping[str, Split]
    execution: Execution

    @property
    def device(self) -> torch.device:
        return self.splits["train"].device


def main(settings: Settings) -> None:
    settings.check()
    console, device = terminal(), device_for(settings.device)
    path, info = find_dataset(settings.dataset, settings.data, settings.classes, console)
    recipe, execution = recipe_of(settings, info), Execution(autocast_for(settings.precision, device))
    told = None if settings.precision == "auto" else number_format(execution.autocast)
    for name in settings.networks:
        require_fitting(name, info, recipe.batch)
        for option, record in places(settings, info, name).items():
            require_writable(record, option)
            require_no_other(record, option, info, recipe, told)
    images = Images(info, read_splits(path, info, device, "auto"), execution)
    for name in settings.networks:
        trained(settings, images, name, recipe, console)


def require_fitting(name: str, info: DatasetInfo, batch: int) -> None:
    """Raise ValueError where timm's network cannot be trained on batches of these images."""
    count = info.images["train"]
    with torch.device("meta"):
        network = TimmNetwork(name, info.classes).train()
        for size in {min(batch, count), count % batch} - {0}:
            try:
                network.trunk(torch.empty(size, 3, info.side, info.side))
            except Exception as error:  # as various as networks are; BatchNorm has nothing to normalise in one value
                raise ValueError(
                    f"timm's {name} cannot train on a batch of {size} images of {info.side} px: take another --batch, "
                    "larger images, or another network"
                ) from error


def recipe_of(settings: Settings, info: DatasetInfo) -> Recipe:
    """That of the course documents' networks; its rate goes with the batch."""
    recipe = recipes_of("course-photographs", info.family, "none").dense
    return with_length(recipe, settings.epochs, settings.batch)


def places(settings: Settings, info: DatasetInfo, name: str) -> dict[str, Path]:
    """Files of a network's record, by the option that leads there."""
    run = f"{name}-{settings.weights}-seed{settings.seed}"
    found = {"--out": settings.out / FOLDER / info.name / run / RECORD}
    if settings.results is not None:
        found["--results"] = settings.results / FOLDER / info.name / f"{run}.json"
    return found


def require_no_other(path: Path, option: str, info: DatasetInfo, recipe: Recipe, told: str | None) -> None:
    """Raise FileExistsError where the record of other images, of another recipe, or in another number format than
    `told`, is in `path`; None takes any."""
    if path.exists():
        record = json_file.read(path, TimmNetworkRecord, "record of a timm network")
        trunk = record.provenance.get("trunk")
        if (record.data, record.recipe) != (info, recipe) or told not in (None, trunk):
            raise FileExistsError(
                f"{path} is the record of other images, another recipe or number format, and stays: move it away, or "
                f"name another {option}"
            )


def trained(settings: Settings, images: Images, name: str, recipe: Recipe, console: Console) -> None:
    """Train one network, score it on test, and write its record; where there is one, print that."""
    found = places(settings, images.info, name)
    folder, callback = found["--out"].parent, TerminalCallback(console)
    unfinished = folder / key(images, recipe)
    with folder_lock(folder, lambda: callback.on_wait(folder)):
        finished = next((path for path in found.values() if path.exists()), None)
        if finished is None:
            record = train(settings, images, name, recipe, unfinished, callback)
        else:
            record = json_file.read(finished, TimmNetworkRecord, "record of a timm network")
        for path in found.values():
            write_text(path, to_json(record))
        EpochCheckpoints(unfinished).remove()
        if unfinished.exists():
            unfinished.rmdir()
    test = record.test.evaluation
    console.print(
        f"{name}, weights {settings.weights}: test accuracy {test.accuracy:.4f} ({test.correct}/{test.images}), "
        f"{record.cost.params:,} parameters, {record.cost.macs:,} multiply-adds. Written to {folder}"
    )


def train(
    settings: Settings, images: Images, name: str, recipe: Recipe, unfinished: Path, callback: TerminalCallback
) -> TimmNetworkRecord:
    """Train one network from its first weights, or from the last whole epoch of a run that was stopped, which lies in
    `unfinished`. Its weights are written beside that folder."""
    execution, info, folder = images.execution, images.info, unfinished.parent
    model = TimmNetwork.seeded(name, info.classes, settings.seed, settings.weights == "imagenet")
    model = model.to(images.device).to(memory_format=torch.channels_last)
    callback.on_phase_start(name, recipe, folder)
    try:
        history = fit(
            model,
            images.splits["train"],
            recipe,
            ScaleL1((), recipe.update, recipe.momentum),
            lambda network: evaluate(network, images.splits["val"], execution),
            torch.Generator().manual_seed(settings.seed),
            callback,
            EpochCheckpoints(unfinished),
            execution,
        )
    finally:
        callback.close()
    write_tensors(folder / "weights.safetensors", model.state_dict())
    return TimmNetworkRecord(
        network=name,
        weights=settings.weights,
        seed=settings.seed,
        data=info,
        recipe=recipe,
        history=history,
        cost=Cost(sum(parameter.numel() for parameter in model.parameters()), model.macs(info.side)),
        file_bytes=sum(tensor.nbytes for tensor in model.state_dict().values()),
        test=confusion_matrix(model, images.splits["test"]),
        provenance=provenance(images.device, execution.autocast),
    )


def key(images: Images, recipe: Recipe) -> str:
    """A hash of what an interrupted training has to agree in to go on."""
    computed = (images.device.type, images.execution.autocast, METHOD, torch.__version__, timm.__version__)
    told = repr((images.info.digest, recipe, *computed))
    return hashlib.sha256(told.encode()).hexdigest()[:12]


if __name__ == "__main__":
    cli.run(main, Settings, __doc__)
