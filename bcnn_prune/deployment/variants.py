"""Every file that `VARIANTS` names, written from one network."""

from collections.abc import Collection
from pathlib import Path

from bcnn_prune.deployment.export import onnx_graph, openvino_graph, write_onnx, write_openvino
from bcnn_prune.deployment.fold import folded
from bcnn_prune.deployment.quantise import Calibration, onnx_int8, openvino_int8
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.network import BilinearCNN


def write_variants(
    folder: Path, model: BilinearCNN, card: ModelCard, calibration: Calibration, keep: Collection[str], vnni: bool
) -> None:
    """Write them to `folder`; `keep` and `vnni` as in `onnx_int8`. `model` is untouched."""
    graph = onnx_graph(folded(model), card)
    write_onnx(folder / "model.onnx", graph)
    write_onnx(folder / "model-int8.onnx", onnx_int8(graph, calibration, keep, vnni))
    write_openvino(folder / "model.xml", openvino_graph(graph), card)
    write_openvino(folder / "model-int8.xml", openvino_int8(graph, calibration, keep, vnni), card)
