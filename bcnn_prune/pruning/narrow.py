"""Cut a pretrained trunk to narrower layers, before anything is trained: in each layer the largest |γ| stay."""

import torch

from bcnn_prune.heads import REDUCTION
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.plan import ChannelPlan
from bcnn_prune.pruning.sparsity import scales
from bcnn_prune.pruning.surgery import rebuild
from bcnn_prune.spec import ModelSpec


def largest_scales(model: BilinearCNN, spec: ModelSpec) -> ChannelPlan:
    """The plan that keeps as many channels per layer as `spec` has; of equal |γ| the first channel stays.

    Raises ValueError, with both numbers, for a layer in which `spec` is wider, for one that it narrows and that has no
    BatchNorm to rank its channels, and for a network without BatchNorm."""
    model.spec.require_batch_norm("a trunk to be narrowed", "weights of the width of this run")
    kept = {}
    for layer in set(spec.layers) - set(model.norms):
        if spec.width_of[layer] != model.spec.width_of[layer]:
            raise ValueError(
                f"--narrow: no BatchNorm ranks the {model.spec.width_of[layer]} channels of {layer}, of which this run "
                f"has {spec.width_of[layer]}: take weights of its width"
            )
    for layer, values in scales(model).items():
        wanted = spec.width_of[layer]
        if wanted > len(values):
            raise ValueError(
                f"--narrow: {layer} has {len(values)} channels in the weights and {wanted} in this run, which is more: "
                "take a smaller --width, or wider weights"
            )
        order = values.argsort(descending=True, stable=True)
        kept[layer] = tuple(sorted(order[:wanted].tolist()))
    return ChannelPlan(kept).completed(model.spec)


@torch.no_grad()
def with_narrowed_trunk(model: BilinearCNN, wide: BilinearCNN) -> BilinearCNN:
    """`model` with the trunk of `wide`, cut to the widths of `model`; its classifier, and its head's reduction, which
    no pretrained trunk has, stay. Changes `model`."""
    narrow = rebuild(wide, largest_scales(wide, model.spec))
    own = {name: value for name, value in model.trunk.state_dict().items() if name.split(".")[0] in REDUCTION}
    model.trunk.load_state_dict({**narrow.trunk.state_dict(), **own})
    return model
