"""Example CPU times in which every value differs, and reports of deploying with such."""

from bcnn_prune.records import Evaluation, Latency, SpeedUp
from bcnn_prune.records.deploy import DeployReport, VariantReport
from bcnn_prune.records.latency import DENSE, SILENCED, NetworkTimes, RuntimeRecord, Times, Timing
from bcnn_prune.spec import ModelSpec
from tests.helpers.strategies import TINY
from thesis_figures.analysis.variants import WAYS

UNPRUNED = ModelSpec.of("vgg16", 196)
MACHINE = {"cpu": "A slow one", "instructions": "avx2 fma", "threads": "2"}
SPEEDS = dict(zip(WAYS, (1.0, 0.98, 2.9, 4.1, 5.2, 8.3, 5.5, 9.5, 12.5), strict=True))
"""Speed-up of each variant over dense in the first network."""


def times(scale: float = 1.0, batches: tuple[int, ...] = (1, 8), left_out: tuple[str, ...] = ()) -> Times:
    """Each batch size 10 % less of a gain than the one before."""
    ways = {}
    for way, speed in SPEEDS.items():
        if way in left_out:
            continue
        gain = speed if way in (DENSE, SILENCED) else speed * scale
        gains = [gain if way == DENSE else gain * 0.9**i for i in range(len(batches))]
        ways[way] = tuple(
            Timing(
                macs=10**9,
                latency=Latency(200 * batch / gain, 190 * batch / gain, 220 * batch / gain, 15 - batch, batch, 2, 0.1),
                speed_up=SpeedUp(gain, 0.95 * gain, 1.1 * gain),
            )
            for batch, gain in zip(batches, gains, strict=True)
        )
    return Times(100.0, ways)


def network(name: str, widths: float, multiple: int = 1, **options: tuple[str, ...]) -> NetworkTimes:
    spec = ModelSpec.of("vgg16", 196, widths)
    return NetworkTimes(name, multiple, spec, UNPRUNED, 224, False, times(1 / widths, **options), MACHINE)


def record() -> RuntimeRecord:
    """Five networks as they are on a processor without bf16, and one rounded up."""
    cuts = {"unpruned": 1.0, "one-shot, 40% cut": 0.6, "one-shot, 60% cut": 0.4, "one-shot, 80% cut": 0.2}
    cuts["one-shot, heavier last penalty, 45% cut"] = 0.5
    without = ("openvino-bf16",)
    networks = [network(name, widths, left_out=without) for name, widths in cuts.items()]
    return RuntimeRecord((*networks, network("one-shot, 80% cut", 0.25, 16, left_out=without)))


def report(dataset: str, correct: dict[str, int], timed: Times | None) -> DeployReport:
    """Report on 200 test images, `correct` of them by variant; all variants but the original differ in five classes."""
    variants = {
        name: VariantReport(1000, Evaluation(200, right), 200 if name == "torch" else 195, 0.1)
        for name, right in correct.items()
    }
    return DeployReport("ab", TINY, TINY, dataset, "cd", 32, 300, (), False, variants, timed, MACHINE)
