"""Post-training quantisation to int8, its ranges taken from images: weights by output channel, activations by tensor.

Convolutions and the classifier are quantised. The pooled product and its signed root never are: an error e of a product
p becomes e / 2√p of its root, and most products are far smaller than those of the diagonal, which would set the step
for all. The classifier reads unit vectors after the root, which halves the range in decades, and its logits stay fp32.

Rounding moves most an image whose features are weak: steps suit the strongest image, and unit length lifts their errors
with the features. 8-bit weights on a processor that takes 7 move far more, because sums overflow (results/cpu).
"""

import contextlib
import io
import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from bcnn_prune.deployment.export import ACTIVATIONS, HEAD, INPUT, OPERATIONS, openvino_graph
from bcnn_prune.deployment.packages import openvino_core, require, telemetry_disabled
from bcnn_prune.deployment.runtime import Pixels
from bcnn_prune.files import require_room
from bcnn_prune.spec import CLASSIFIER, ModelSpec

if TYPE_CHECKING:
    import onnx
    import openvino


Calibration = Sequence[UInt8[np.ndarray, "_ side side 3"]]
"""Batches of pixels, of any size each."""


def quantised_layers(spec: ModelSpec) -> tuple[str, ...]:
    """Names of the layers with weights, which int8 files quantise: convolutions and dense layers, in order."""
    return tuple(step.name for step in spec.steps(folded=True) if step.layer.axes(step.x, step.y))


def check_kept(keep: Collection[str], spec: ModelSpec) -> None:
    """Raise ValueError for a name of `keep` that is no layer of `spec` and not the classifier."""
    known = quantised_layers(spec)
    for name in keep:
        if name not in known:
            raise ValueError(f"no layer {name} to keep in fp32: take {', '.join(known[:-1])} or {CLASSIFIER}")


def onnx_int8(
    model: "onnx.ModelProto", batches: Calibration, keep: Collection[str] = (), vnni: bool = False
) -> "onnx.ModelProto":
    """`model`, as `onnx_graph` made it, quantised for ONNX Runtime (QDQ); `keep` names what stays in fp32.

    Without `vnni`, weights take 7 bits: older x86 processors add products of two 8-bit numbers in 16 bits, which
    overflow without a word. Seven bits are right on every processor. `model` is untouched."""
    require("onnx", "onnxruntime")
    import onnx

    with telemetry_disabled():
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        prepared = onnx.ModelProto()
        prepared.CopyFrom(model)
        add_pre_process_metadata(prepared)  # else it asks on stderr for what is done: BatchNorm is folded, shapes stand
        # The calibration writes the network once more.
        require_room(Path(folder), 5 * prepared.ByteSize(), "make room, or name another folder by TMPDIR")
        source.write_bytes(prepared.SerializeToString())
        quantize_static(
            source,
            target,
            _Reader(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=sorted(set(OPERATIONS.values())),
            nodes_to_exclude=[*keep, *_activations(model, keep)],
            per_channel=True,
            reduce_range=not vnni,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        quantised = onnx.load(target)
    del quantised.metadata_props[:]
    quantised.metadata_props.extend(model.metadata_props)
    return quantised


def openvino_int8(
    model: "onnx.ModelProto", batches: Calibration, keep: Collection[str] = (), vnni: bool = False
) -> "openvino.Model":
    """`model`, as `onnx_graph` made it, quantised for OpenVINO; `keep` and `vnni` as in `onnx_int8`."""
    require("openvino", "nncf")
    openvino_core()  # before the ones that NNCF makes and drops
    with _quiet_nncf() as nncf:
        # A convolution or the classifier is "conv1_1/WithoutBiases" here, and what adds its bias "conv1_1" or "logits".
        ignored = "|".join(("pixels/.*", f"{HEAD}.*", *(rf"{name}(/.*)?$" for name in keep)))  # conv1 is not conv10
        quantised: openvino.Model = nncf.quantize(
            openvino_graph(model),
            nncf.Dataset(batches),
            subset_size=len(batches),
            target_device=nncf.TargetDevice.CPU,
            ignored_scope=nncf.IgnoredScope(patterns=[ignored], validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.DISABLE if vnni else nncf.OverflowFix.ENABLE,
                # Its own choice, the mean over batches of each one's largest value, clips the strongest images: logits
                # of small networks moved 2 to 19 times as far.
                activations_range_estimator_params=nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX,
                # Its fast bias correction gains nothing on val: 488 of 1,148 images over eight networks of cars50 and
                # birds50, 494 without it, 506 in fp32. A pruned network of synthetic birds lost half by it.
                disable_bias_correction=True,
            ),
        )
    return quantised


def _activations(model: "onnx.ModelProto", keep: Collection[str]) -> list[str]:
    """Names of the activations that read a node of `keep`."""
    kept = {output for node in model.graph.node if node.name in keep for output in node.output}
    return [node.name for node in model.graph.node if node.op_type in ACTIVATIONS and node.input[0] in kept]


class _Reader:
    """Calibration batches as onnxruntime asks for them: one a call, None after the last."""

    def __init__(self, batches: Calibration) -> None:
        self._batches: Iterator[Pixels] = iter(batches)

    def get_next(self) -> Mapping[str, Pixels] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


@contextlib.contextmanager
def _quiet_nncf() -> Iterator[ModuleType]:
    """nncf without its lines and bars on stdout."""
    with telemetry_disabled():
        import nncf
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield nncf
    finally:
        logger.setLevel(level)
