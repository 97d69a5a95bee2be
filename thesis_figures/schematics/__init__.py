"""The thesis' schematics, one module each, by the name of the file that they become."""

from collections.abc import Callable

from matplotlib.figure import Figure

from thesis_figures.schematics import (
    activations,
    bilinear_network,
    convolution,
    image_processing,
    pruning_flow,
    relative_index,
    scale_pruning,
    structured_pruning,
    three_flows,
    training_flow,
    vgg,
)

SCHEMATICS: dict[str, Callable[[], Figure]] = {
    "figure-1.1-image-processing": image_processing.draw,
    "figure-1.2-training": training_flow.draw,
    "figure-1.3-pruning": pruning_flow.draw,
    "figure-2.1-unstructured-pruning": relative_index.draw,
    "figure-2.2-structured-pruning": structured_pruning.draw,
    "figure-3.2-bilinear-cnn": bilinear_network.draw,
    "figure-3.3-convolution": convolution.draw,
    "figure-3.4-activations": activations.draw,
    "figure-3.5-vgg16": vgg.draw,
    "figure-3.6-batch-norm-pruning": scale_pruning.draw,
    "figure-4.3-three-flows": three_flows.draw,
}
