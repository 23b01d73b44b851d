"""Where the time of a training step goes: the shares of its kinds of work, from ``torch.profiler``.

Each operation's own time, without that of the operations within it, is given to the kind of the nearest operation around it that
has one. On CUDA it is the time of the operation's kernels on the device.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.profiler import ProfilerActivity, profile, record_function

STEPS, WARM_STEPS = 6, 3
DATA, SPECTRAL_NORM = "data", "spectral norm"

# what stands around other operations, and takes all within it
_OUTER = {DATA: DATA, SPECTRAL_NORM: SPECTRAL_NORM, "Optimizer.": "optimizer"}
# parts of names, the first that fits; of the backward pass there are autograd's names around the operations
_KINDS = {
    "_to_copy": "casts",
    "ToCopyBackward": "casts",
    "batch_norm": "batch norm",
    "BatchNorm": "batch norm",
    "convolution": "convolutions",
    "Convolution": "convolutions",
    "aten::addmm": "linear layers",
    "AddmmBackward": "linear layers",
    "aten::lerp_": "ema",
    "_foreach_lerp_": "ema",
    "AccumulateGrad": "gradients of weights",
}
OTHER = "other"


def measure(step: Callable[[], Any], device: str) -> dict[str, Any]:
    """Milliseconds of operations in a step, and each kind's share of them. The profiler itself makes many small ones slower."""
    for _ in range(WARM_STEPS):
        step()
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device == "cuda")
    with profile(activities=activities) as profiled:
        for _ in range(STEPS):
            step()
        if device == "cuda":
            torch.cuda.synchronize()
    seen: Counter[str] = Counter()
    for event in profiled.events() or ():
        if event.device_type.name != "CPU":
            continue  # a kernel, whose time its operation has
        microseconds = event.self_device_time_total if device == "cuda" else event.self_cpu_time_total
        seen[kind_of(event)] += microseconds
    total = sum(seen.values())
    return {
        "operations_ms_a_step": total / STEPS / 1000,
        "shares": {kind: round(time / total, 4) for kind, time in seen.most_common() if time},
    }


def kind_of(event: Any) -> str:
    """Of an operation, a ``FunctionEvent`` of the profiler."""
    nearest, around = OTHER, event
    while around is not None:
        for start, kind in _OUTER.items():
            if around.name.startswith(start):
                return kind
        if nearest == OTHER:
            nearest = next((kind for part, kind in _KINDS.items() if part in around.name), OTHER)
        around = around.cpu_parent
    return nearest


def named(name: str, call: Callable[[], Any]) -> Callable[[], Any]:
    """The same call, which the profiler sees under a name."""

    def run() -> Any:
        with record_function(name):
            return call()

    return run


def name_spectral_norms(network: nn.Module) -> None:
    """Their forward pass under a name of its own; the backward pass of a few vectors is among the other operations."""
    for module in network.modules():
        if parametrize.is_parametrized(module):
            for norms in module.parametrizations.values():  # type: ignore[operator]
                for norm in norms:
                    forward = norm.forward
                    norm.forward = lambda weight, forward=forward: named(SPECTRAL_NORM, lambda: forward(weight))()
