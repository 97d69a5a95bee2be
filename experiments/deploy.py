"""Export a checkpoint to ONNX and OpenVINO in fp32 and int8; compare accuracy and time of each file.

    python -m experiments.deploy runs/oneshot/drawn-cars/prune0.4-seed0/model.safetensors

writes ONNX and OpenVINO files, each in fp32 and int8, and deploy.json to the folder `deployed` beside the checkpoint:
all of them at the end, in place of older ones, or nothing where it is interrupted. README.md in it is a model card for
whoever gets the folder: accuracy, sizes, times, licence of the data, and how to run the files without this project.
It takes a minute on the synthetic sets, half of it with --no-time, and ends with tables. The first has the size of each
variant, its accuracy, its agreement with the original's classes, and the largest difference of its logits. The second
has milliseconds at batch 1 and 8, the speed-up over the unpruned network, and the share of the processor's peak.
Times need a machine that does nothing else. Any of the files is enough for experiments.predict."""

import shlex
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import tyro
from jaxtyping import Int64
from rich.console import Console
from rich.table import Table

from bcnn_prune.command_line.check import at_least
from bcnn_prune.command_line.system_errors import in_words
from bcnn_prune.data.batches import Split
from bcnn_prune.deployment.compare import compare_logits, labels_of, logits_of
from bcnn_prune.deployment.packages import PACKAGES, require
from bcnn_prune.deployment.quantise import Calibration, check_kept
from bcnn_prune.deployment.registry import VARIANTS, supported
from bcnn_prune.deployment.runtime import Logits
from bcnn_prune.deployment.variants import write_variants
from bcnn_prune.files import checksum, folder_lock, replacing_together, require_writable, write_text
from bcnn_prune.model.checkpoint import CheckpointInfo, load
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.records import RECORD, DatasetInfo, read_record
from bcnn_prune.records.deploy import (
    DEPLOYED,
    FOLDER,
    ORIGINAL,
    REPORT,
    DeployReport,
    VariantReport,
    read_report,
    to_json,
)
from data_prep.progress import progress_reporter
from experiments.run import cli, cpu, model_card, variant_latency
from experiments.run.checkpoint import CheckpointSettings, calibration, split_of
from experiments.run.console import terminal
from experiments.run.provenance import provenance


@dataclass(frozen=True, kw_only=True)
class Settings(CheckpointSettings):
    out: Path | None = None
    """Folder of the files; the folder `deployed` beside the checkpoint if not given."""
    keep: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER …")] = ()
    """Layers (conv1_1 …, or classifier) that stay in fp32 in the int8 files. The pooled product and its root do."""
    vnni: Literal["auto", "yes", "no"] = "auto"
    """VNNI instructions on the processors that will run the int8 files (Intel since 2019, AMD since Zen 4; yes for
    processors other than x86); auto: as this one. With no, weights take 7 bits, since sums of 8-bit products could
    overflow silently there. Files made with no are right everywhere."""
    test_images: int | None = None
    """Number of test images to compare on, sampled at random; all of them if not given."""
    time: bool = True
    """Time each variant; without, only files are written and compared."""
    rounds: Annotated[tuple[int, int], tyro.conf.arg(metavar="N N")] = (30, 10)
    """Timed rounds of each variant, at batch 1 and at batch 8."""
    results: Path | None = None
    """Also write the report to <results>/deploy/<set>/<name of the run>.json, where thesis_figures reads it."""

    def check(self) -> None:
        super().check()
        at_least(1, test_images=self.test_images)
        if self.time:
            variant_latency.check_rounds(self.rounds)


@dataclass(frozen=True)
class Job:
    """A checkpoint to deploy, and the images that calibrate and compare its variants."""

    settings: Settings
    model: BilinearCNN
    checkpoint: CheckpointInfo
    info: DatasetInfo
    test: Split
    labels: Int64[np.ndarray, " images"]
    """Of the test images."""
    batches: Calibration
    threads: int
    vnni: bool


def main(settings: Settings) -> None:
    settings.check()
    require(*PACKAGES)
    console = terminal()
    job = prepare(settings, console)
    folder = settings.out or settings.checkpoint.parent / DEPLOYED
    require_writable(folder / REPORT, "--out")
    model_card.require_replaceable(folder / model_card.FILE)
    if settings.out is not None:
        require_own(folder)
    results = settings.results and settings.results / FOLDER / job.info.name / f"{named(settings.checkpoint)}.json"
    if results is not None:
        require_writable(results, "--results")
        if results.exists() and read_report(results).checkpoint != checksum(settings.checkpoint):
            raise FileExistsError(f"--results: {results} is the report of another checkpoint: move it away")
    original = logits_of(VARIANTS[ORIGINAL].open(settings.checkpoint, job.threads).run, job.test)
    with (
        in_words(replace(settings, out=folder)),
        folder_lock(folder, lambda: console.print(f"Waiting for another process that writes to {folder}.")),
        replacing_together(folder, last=REPORT) as partial,  # where the report is, all files are of one network
    ):
        write_variants(partial, job.model, job.checkpoint.card, job.batches, settings.keep, job.vnni)
        report = build_report(job, partial, original, console)
        write_text(partial / REPORT, to_json(report))
        write_text(partial / model_card.FILE, readme(job, report, original))
    if results is not None:
        write_text(results, to_json(report))
    console.print(table(report))
    if report.times is not None:
        console.print(variant_latency.table(report.times, f"{report.dataset}: CPU time at {report.side} px"))
    if missing := [name for name in VARIANTS if name not in report.variants]:
        console.print(f"This processor does not compute {', '.join(missing)}.")
    command = shlex.join(["python", "-m", "experiments.predict", str(folder / "model-int8.onnx")])
    console.print(f"Written to {folder}, with {REPORT} and {model_card.FILE}. To use a file: {command} photo.jpg")


def require_own(folder: Path) -> None:
    """Raise FileExistsError where a file has the name of one of ours and no report of ours lies beside it."""
    names = {name for variant in VARIANTS.values() if (name := variant.file)}
    names |= {Path(name).with_suffix(".bin").name for name in names if name.endswith(".xml")}
    there = sorted(name for name in names if (folder / name).exists())
    if there and not (folder / REPORT).exists():
        raise FileExistsError(f"--out: {folder / there[0]} would be replaced: name another folder, or delete it")


def prepare(settings: Settings, console: Console) -> Job:
    """Load the checkpoint and its images. Raises ValueError for settings or images that do not fit it."""
    model, checkpoint = load(settings.checkpoint)
    check_kept(settings.keep, checkpoint.card.spec)
    path, info = settings.find_images(checkpoint.card, console)
    test: Split = split_of(path, "test")
    if settings.test_images is not None:
        test = test.take(settings.test_images, torch.Generator().manual_seed(0))
    threads = settings.threads or torch.get_num_threads()
    vnni = cpu.has_int8_dot_product() if settings.vnni == "auto" else settings.vnni == "yes"
    return Job(settings, model.eval(), checkpoint, info, test, labels_of(test), calibration(path), threads, vnni)


def build_report(job: Job, folder: Path, original: Logits, console: Console) -> DeployReport:
    """Compare the variants in `folder` on test images and, unless --no-time, time them."""
    settings, card = job.settings, job.checkpoint.card
    variants = compared(job, folder, original)
    times = None
    if settings.time:
        with progress_reporter(console, "rounds") as report:
            times = variant_latency.measure(
                settings.checkpoint, folder, tuple(variants), settings.rounds, job.threads, report
            )
    return DeployReport(
        checkpoint=checksum(settings.checkpoint),
        spec=card.spec,
        unpruned=job.checkpoint.unpruned,
        dataset=job.info.name,
        data_digest=job.info.digest,
        side=card.side,
        calibration_images=sum(map(len, job.batches)),
        kept=settings.keep,
        vnni=job.vnni,
        variants=variants,
        times=times,
        provenance={
            **provenance(torch.device("cpu"), autocast=None),
            **{package: version(package) for package in PACKAGES},
        },
    )


def compared(job: Job, folder: Path, original: Logits) -> dict[str, VariantReport]:
    """Each variant that this processor can run, its logits of the test images compared with the original ones."""
    reports: dict[str, VariantReport] = {}
    for name in supported():
        file = VARIANTS[name].file
        path = job.settings.checkpoint if file is None else folder / file
        logits = original if name == ORIGINAL else logits_of(VARIANTS[name].open(path, job.threads).run, job.test)
        needed = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
        reports[name] = compare_logits(logits, original, job.labels, sum(file.stat().st_size for file in needed))
    return reports


def readme(job: Job, report: DeployReport, original: Logits) -> str:
    """The model card, with the mistakes of the original."""
    confused = model_card.most_confused(original, job.labels, job.info.class_names)
    return model_card.render(job.checkpoint.card, job.info, report, confused)


def named(checkpoint: Path) -> str:
    """Name of the checkpoint's run: its folder, after its experiment where its record lies beside it."""
    folder = checkpoint.resolve().parent
    record = folder / RECORD
    return f"{read_record(record).experiment}-{folder.name}" if record.is_file() else folder.name


def table(report: DeployReport) -> Table:
    """Size, accuracy and agreement with the original, one row per variant."""
    kept = ", ".join(("the pooled product and its root", *report.kept))
    bits = "8 bits" if report.vnni else "7 bits, for processors without VNNI"
    shown = Table(
        title=f"{report.dataset}: variants of one network on the same test images",
        caption=f"int8 from {report.calibration_images} val images, weights of {bits}; in fp32 there: {kept}",
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
    cli.run(main, Settings, __doc__, interrupted="nothing was written", memory="Nothing was written")
