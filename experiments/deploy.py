"""Turn a checkpoint into files for other runtimes, and count on test images what each of them changes.

    python -m experiments.deploy runs/oneshot/drawn-cars/prune0.4-seed0/model.safetensors

writes ONNX and OpenVINO files, each in fp32 and int8, and deploy.json to the folder `deployed` beside the checkpoint.
It takes some 20 seconds on the drawn sets and ends with a table: the size of each variant, its accuracy, how often it
names the class that the original names, and how far its logits are from the original's. Any of the files is enough for
python -m experiments.predict."""

import shlex
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.table import Table

from bcnn_prune.about import About
from bcnn_prune.data.batches import Split, StreamedSplit
from bcnn_prune.deployment.checkpoint import read_checkpoint
from bcnn_prune.deployment.export import onnx_graph, openvino_graph, write_onnx, write_openvino
from bcnn_prune.deployment.folded import folded
from bcnn_prune.deployment.packages import require
from bcnn_prune.deployment.quantise import check_kept, onnx_int8, openvino_int8
from bcnn_prune.deployment.report import (
    DeployReport,
    VariantReport,
    held_against,
    logits_of,
    pixel_batches,
    to_json,
)
from bcnn_prune.deployment.runtimes import ORIGINAL, VARIANTS, Unsupported, checksum
from bcnn_prune.files import taking_turns, write_text
from bcnn_prune.model.bcnn import BilinearCNN
from bcnn_prune.records import DatasetInfo
from experiments import cli, images
from experiments.progress import terminal
from experiments.provenance import provenance

PACKAGES = ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf")
CALIBRATION = 300  # val images: ranges of activations settle well before, and nncf's own default is as many


@dataclass(frozen=True, kw_only=True)
class Settings:
    checkpoint: tyro.conf.Positional[Path]
    """A network of ours: model.safetensors of a run."""
    dataset: str | None = None
    """Whose images are taken; the checkpoint's own set if not given."""
    data: Path | None = None
    """The HDF5 file, if it is not data/<dataset>.h5."""
    out: Path | None = None
    """Where the files go; the folder `deployed` beside the checkpoint if not given."""
    keep: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER …")] = ()
    """Layers (conv1_1 …, or classifier) that stay in fp32 in the int8 files. The pooled product and its root do."""
    vnni: bool = True
    """Whether processors that will run the int8 files have VNNI instructions (Intel since 2019, AMD since Zen 4).
    Without, weights take 7 bits, since sums of 8-bit products could overflow there without a word."""
    test_images: int | None = None
    """How many test images to compare on, drawn at random; all of them if not given."""
    threads: int | None = None
    """Of each runtime; as many as torch takes if not given."""

    def check(self) -> None:
        """Raise ValueError for a value that cannot work."""
        for name in ("test_images", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} is {value}: take 1 or more")


def main(settings: Settings) -> None:
    settings.check()
    require(*PACKAGES)
    console = terminal()
    model, about = read_checkpoint(settings.checkpoint)
    check_kept(settings.keep, about.spec)
    path, info = images.find(settings.dataset or about.dataset, settings.data, classes=20, console=console)
    require_same(about, info, path)
    folder = settings.out or settings.checkpoint.parent / "deployed"
    test: Split = StreamedSplit(path, "test", torch.device("cpu"), workers=0)
    if settings.test_images is not None:
        test = test.take(settings.test_images, torch.Generator().manual_seed(0))
    val = StreamedSplit(path, "val", torch.device("cpu"), workers=0)
    calibration = val.take(CALIBRATION, torch.Generator().manual_seed(0))
    with taking_turns(folder, lambda: console.print(f"Waiting for another process that writes to {folder}.")):
        write_variants(folder, model, about, calibration, settings)
        variants = compared(settings, folder, test)
        report = DeployReport(
            checkpoint=checksum(settings.checkpoint),
            spec=about.spec,
            dataset=info.name,
            data_digest=info.digest,
            side=about.side,
            calibration_images=len(calibration),
            kept=settings.keep,
            vnni=settings.vnni,
            variants=variants,
            provenance={
                **provenance(torch.device("cpu"), autocast=None),
                **{package: version(package) for package in PACKAGES},
            },
        )
        write_text(folder / "deploy.json", to_json(report))
    console.print(table(report))
    if missing := VARIANTS.keys() - variants.keys():
        console.print(f"This processor does not compute {', '.join(missing)}.")
    command = shlex.join(["python", "-m", "experiments.predict", str(folder / "model-int8.onnx")])
    console.print(f"Written to {folder}, with deploy.json. To use a file: {command} photo.jpg")


def require_same(about: About, info: DatasetInfo, path: Path) -> None:
    """Raise ValueError for images that the network was not made for."""
    if info.class_names != about.class_names:
        raise ValueError(f"{path} has other classes than the checkpoint, which was trained on {about.dataset}")
    if info.side != about.side:
        raise ValueError(f"{path} holds images of {info.side} px, the checkpoint takes {about.side} px")


def write_variants(folder: Path, model: BilinearCNN, about: About, calibration: Split, settings: Settings) -> None:
    """Write every file that `VARIANTS` names."""
    batches = [pixels for pixels, _ in pixel_batches(calibration, 50)]
    graph = onnx_graph(folded(model), about)
    write_onnx(folder / "model.onnx", graph)
    write_onnx(folder / "model-int8.onnx", onnx_int8(graph, batches, settings.keep, settings.vnni))
    write_openvino(folder / "model.xml", openvino_graph(graph), about)
    write_openvino(folder / "model-int8.xml", openvino_int8(graph, batches, settings.keep, settings.vnni), about)


def compared(settings: Settings, folder: Path, test: Split) -> dict[str, VariantReport]:
    """Each variant that this processor can run, held against the original on the test images."""
    threads = settings.threads or torch.get_num_threads()
    labels = torch.cat([labels for _, labels in test.batches(1024)]).numpy()
    original = logits_of(VARIANTS[ORIGINAL].open(settings.checkpoint, threads).run, test)
    reports: dict[str, VariantReport] = {}
    for name, variant in VARIANTS.items():
        path = settings.checkpoint if variant.file is None else folder / variant.file
        try:
            run = variant.open(path, threads).run
        except Unsupported:
            continue
        found = original if name == ORIGINAL else logits_of(run, test)
        needed = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
        reports[name] = held_against(found, original, labels, sum(file.stat().st_size for file in needed))
    return reports


def table(report: DeployReport) -> Table:
    """A row a variant."""
    kept = ", ".join(("the pooled product and its root", *report.kept))
    shown = Table(
        title=f"{report.dataset}: variants of one network on the same test images",
        caption=f"int8 from {report.calibration_images} val images; in fp32 there: {kept}",
    )
    shown.add_column("variant")
    for column in ("kB", "test accuracy", "correct", "names the original's class", "largest difference of a logit"):
        shown.add_column(column, justify="right")
    for name, variant in report.variants.items():
        shown.add_row(
            name,
            f"{variant.bytes / 1e3:,.0f}",
            f"{variant.test.accuracy:.4f}",
            f"{variant.test.correct}/{variant.test.images}",
            f"{variant.agreement:.4f}",
            f"{variant.largest_difference:.0e}",
        )
    return shown


if __name__ == "__main__":
    cli.run(main, Settings, __doc__, interrupted="files that were written are whole; the same command starts over")
