"""Counters of multiply-adds by others, and their excess over ours, measured on each kind of step alone."""

import copy
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bcnn_prune.layers import Line
from bcnn_prune.model.heads import bilinear_pool, signed_sqrt
from bcnn_prune.records import Cost
from bcnn_prune.records.counters import UNEXPLAINED, Excess, Unit, in_words

Counter = Callable[[nn.Module, Tensor], Cost]


def by_torch(network: nn.Module, images: Tensor) -> Cost:
    """torch's FlopCounterMode, which counts multiply-adds alone, as two FLOPs each, and no parameters."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    return Cost(sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() // 2)


def by_fvcore(network: nn.Module, images: Tensor) -> Cost:
    from fvcore.nn import FlopCountAnalysis, parameter_count

    analysis = FlopCountAnalysis(network, images).unsupported_ops_warnings(False).tracer_warnings("none")
    return Cost(parameter_count(network)[""], int(analysis.total()))


def by_thop(network: nn.Module, images: Tensor) -> Cost:
    import thop

    macs, params = thop.profile(network, (images,), verbose=False)
    return Cost(int(params), int(macs))


def by_ptflops(backend: Literal["pytorch", "aten"], network: nn.Module, images: Tensor) -> Cost:
    from ptflops import get_model_complexity_info

    with torch.no_grad():
        macs, params = get_model_complexity_info(
            network, tuple(images.shape[1:]), as_strings=False, print_per_layer_stat=False, backend=backend
        )
    return Cost(int(params), int(macs))


def by_torchinfo(network: nn.Module, images: Tensor) -> Cost:
    import torchinfo

    summary = torchinfo.summary(network, input_data=images, verbose=0)
    return Cost(summary.total_params, summary.total_mult_adds)


COUNTERS: dict[str, Counter] = {
    "FlopCounterMode": by_torch,
    "fvcore": by_fvcore,
    "thop": by_thop,
    "ptflops, pytorch": partial(by_ptflops, "pytorch"),
    "ptflops, aten": partial(by_ptflops, "aten"),
    "torchinfo": by_torchinfo,
}


def count_cost(counter: str, network: nn.Module, images: Tensor) -> Cost:
    """Cost of a network in evaluation mode by a counter, which gets a copy: some leave their hooks behind."""
    with _old_apis():
        return COUNTERS[counter](copy.deepcopy(network).eval(), images)


@contextmanager
def _old_apis() -> Iterator[None]:
    with warnings.catch_warnings():
        # fvcore scripts and traces, thop compares versions with distutils: all of it still works.
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "distutils Version classes are deprecated", DeprecationWarning)
        yield


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@dataclass(frozen=True)
class Alone:
    """One kind of step alone, in sizes of which none divides another, so that a count has one explanation."""

    module: nn.Module
    shape: tuple[int, ...]
    """Of one input."""
    macs: int = 0
    without: nn.Module | None = None
    """The same without the step, where it cannot stand alone: a convolution without a bias."""


def steps() -> dict[str, Alone]:
    """Kinds of steps of a BCNN, by the names of their cost lines without the layer's number."""
    conv, linear = nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.Linear(25, 7, bias=False)
    return {
        "conv": Alone(conv, (3, 6, 8), macs=3 * 9 * 5 * 6 * 8),
        "conv bias": Alone(nn.Conv2d(3, 5, 3, padding=1), (3, 6, 8), without=conv),
        "bn": Alone(nn.BatchNorm2d(5), (5, 6, 8)),
        "relu": Alone(nn.ReLU(), (5, 6, 8)),
        "pool": Alone(nn.MaxPool2d(2), (5, 6, 8)),
        "pooling": Alone(Applied(bilinear_pool), (5, 6, 7), macs=5 * 5 * 6 * 7),
        "root": Alone(Applied(signed_sqrt), (5, 5)),
        "norm": Alone(Applied(partial(F.normalize, dim=1)), (25,)),
        "classifier": Alone(linear, (25,), macs=25 * 7),
        "classifier bias": Alone(nn.Linear(25, 7), (25,), without=linear),
    }


def excess_of(counter: str, step: Alone) -> Excess | None:
    """Excess of a counter over our multiply-adds of a step alone; None where it is no multiple of any unit."""
    network, images = nn.Sequential(step.module), torch.rand(1, *step.shape)
    more = count_cost(counter, network, images).macs - step.macs
    params = sum(parameter.numel() for parameter in network.parameters())
    if step.without is not None:
        more -= count_cost(counter, nn.Sequential(step.without), images).macs
        params -= sum(parameter.numel() for parameter in step.without.parameters())
    units: dict[Unit, int] = {"macs": step.macs, "outputs": network.eval()(images).numel(), "params": params}
    return next((Excess(more // size, unit) for unit, size in units.items() if size and more % size == 0), None)


def explain(lines: Mapping[str, Line], excesses: Mapping[str, Excess | None], difference: int) -> str:
    """Amounts by kind of step in a network of these lines, if they add up to the difference; else UNEXPLAINED."""
    terms: dict[str, int] = {}
    for name, line in lines.items():
        kind = kind_of(name)
        excess = excesses[kind]
        if excess is None:
            return UNEXPLAINED
        terms[kind] = terms.get(kind, 0) + excess.times * int(getattr(line, excess.unit))
    if sum(terms.values()) != difference:
        return UNEXPLAINED
    return "; ".join(f"{kind} {amount:+,} ({in_words(excesses[kind])})" for kind, amount in terms.items() if amount)


def kind_of(line: str) -> str:
    """ "conv bias" for "conv1_1 bias"."""
    return re.sub(r"\d_\d", "", line)
