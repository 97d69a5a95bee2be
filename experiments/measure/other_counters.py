"""Counters of multiply-adds that others wrote, and what each takes a kind of step for, measured on the step alone."""

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

from bcnn_prune.evaluation.cost import Line
from bcnn_prune.model.heads import bilinear_pool, signed_sqrt
from bcnn_prune.records import Cost

UNEXPLAINED = "unexplained"
Unit = Literal["macs", "outputs", "params"]
UNITS: dict[Unit, str] = {"macs": "multiply-add", "outputs": "output element", "params": "parameter"}
Counter = Callable[[nn.Module, Tensor], Cost]


def by_torch(network: nn.Module, images: Tensor) -> Cost:
    """torch's FlopCounterMode, whose every operation is multiply-adds at two FLOPs; it counts no parameters."""
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

    found = torchinfo.summary(network, input_data=images, verbose=0)
    return Cost(found.total_params, found.total_mult_adds)


COUNTERS: dict[str, Counter] = {
    "FlopCounterMode": by_torch,
    "fvcore": by_fvcore,
    "thop": by_thop,
    "ptflops, pytorch": partial(by_ptflops, "pytorch"),
    "ptflops, aten": partial(by_ptflops, "aten"),
    "torchinfo": by_torchinfo,
}


def counted(counter: str, network: nn.Module, images: Tensor) -> Cost:
    """What a counter says of a network in evaluation mode. It is given a copy: some leave their hooks behind."""
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
    """A kind of step by itself, in sizes of which none divides another, so that a count has one explanation."""

    module: nn.Module
    shape: tuple[int, ...]
    """Of one input."""
    macs: int = 0
    without: nn.Module | None = None
    """The same without the step, where it cannot stand alone: a convolution without a bias."""


def steps() -> dict[str, Alone]:
    """The kinds of steps that a BCNN is made of, by their lines' names without the layer's number."""
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


@dataclass(frozen=True)
class Finding:
    """How much more than we a counter takes a kind of step for: `times` a unit; -1 multiply-add is "not counted"."""

    times: int
    unit: Unit


def finding(counter: str, step: Alone) -> Finding | None:
    """What a counter adds to our multiply-adds of a step alone; None for no multiple of what the step has."""
    network, images = nn.Sequential(step.module), torch.rand(1, *step.shape)
    more = counted(counter, network, images).macs - step.macs
    params = sum(parameter.numel() for parameter in network.parameters())
    if step.without is not None:
        more -= counted(counter, nn.Sequential(step.without), images).macs
        params -= sum(parameter.numel() for parameter in step.without.parameters())
    units: dict[Unit, int] = {"macs": step.macs, "outputs": network.eval()(images).numel(), "params": params}
    return next((Finding(more // size, unit) for unit, size in units.items() if size and more % size == 0), None)


def reason(lines: Mapping[str, Line], findings: Mapping[str, Finding | None], difference: int) -> str:
    """The findings that matter in a network of these lines, if they add up to the difference; else UNEXPLAINED."""
    terms: dict[str, int] = {}
    for name, line in lines.items():
        kind = kind_of(name)
        found = findings[kind]
        if found is None:
            return UNEXPLAINED
        terms[kind] = terms.get(kind, 0) + found.times * int(getattr(line, found.unit))
    if sum(terms.values()) != difference:
        return UNEXPLAINED
    return "; ".join(f"{kind} {amount:+,} ({said(findings[kind])})" for kind, amount in terms.items() if amount)


def kind_of(line: str) -> str:
    """ "conv bias" for "conv1_1 bias"."""
    return re.sub(r"\d_\d", "", line)


def said(found: Finding | None) -> str:
    """A finding in words."""
    match found:
        case None:
            return UNEXPLAINED
        case Finding(0, _):
            return ""
        case Finding(-1, "macs"):
            return "not counted"
        case Finding(times, unit):
            return f"{times} {'an' if unit == 'outputs' else 'a'} {UNITS[unit]}"
