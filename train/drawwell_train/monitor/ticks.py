"""The lines of ``stats.jsonl``: means over the steps since the last line, and measures of both networks as they are now."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from drawwell_train.config import TrainConfig
from drawwell_train.distributed import all_reduce_mean
from drawwell_train.monitor.conditions import COLLAPSE, D_FAKE_STD, Watch
from drawwell_train.monitor.measures import Measures
from drawwell_train.presets import CROSS_ENTROPIES
from drawwell_train.step.state import TrainState
from drawwell_train.step.steps import Stats

Kid = Callable[[TrainState], dict[str, float]]
Line = dict[str, Any]
"""``step``, ``images`` (seen), ``images_per_second``, means of the numbers of each step, measures, ``kid`` where it is due, and the
names of active ``conditions``."""

_BEST_VALUE = -2 * math.log(2)
"""The value function for a G that draws from the distribution of the data."""


class Ticks:
    """Collects the numbers of steps, and makes a line of them."""

    def __init__(self, config: TrainConfig, measures: Measures, kid: Kid, watch: Watch, step: int) -> None:
        self._config, self._measures, self._kid, self._watch = config, measures, kid, watch
        self._has_probabilities = config.loss in (*CROSS_ENTROPIES, "relativistic")
        self._begin(step)

    def _begin(self, step: int) -> None:
        self._step, self._time = step, time.perf_counter()
        self._names, self._stats = tuple[str, ...](), list[Tensor]()

    def add(self, stats: Stats) -> None:
        """Add the numbers of one step. It does not wait for the device, which may still compute them."""
        self._names = tuple(stats)
        self._stats.append(torch.stack(list(stats.values())))  # [K]

    def sync_stats(self) -> dict[str, float]:
        """Return means over all steps since the last line and over all processes, and the deviation of D(G(z)) if it is a probability."""
        steps = torch.stack(self._stats).double()  # [steps, K]
        all_reduce_mean([steps])
        means = dict(zip(self._names, steps.mean(0).tolist(), strict=True))
        if self._has_probabilities:  # outputs without a fixed scale have no meaningful deviation
            d_fake = steps[:, self._names.index("d_fake")]
            means[D_FAKE_STD] = float(d_fake.std(correction=0))
        return {name: float(f"{mean:.5g}") for name, mean in means.items()}

    def line(self, state: TrainState, means: dict[str, float]) -> tuple[Line, list[str]]:
        """Return the line of all steps since the last line, and a sentence for each condition that begins or ends."""
        steps, seconds = state.step - self._step, time.perf_counter() - self._time
        done = self._config.images_per_step
        line: Line = {
            "step": state.step,
            "images": state.step * done,
            "images_per_second": round(steps * done / seconds, 1),
            **means,
            **self._measures(state),
            **self._kid(state),
        }
        sentences = self._watch.look(line)
        self._begin(state.step)
        return line | {"conditions": list(self._watch.active)}, sentences

    @property
    def collapsed(self) -> bool:
        """Whether mode collapse is active."""
        return COLLAPSE in self._watch.active


def in_words(line: Line) -> str:
    """Return a line as one sentence for people. A critic gives no probabilities, and its value has no known optimum."""
    if D_FAKE_STD in line:
        outputs = f"D(x) {line['d_real']:.2f}, D(G(z)) {line['d_fake']:.2f}"
    else:
        named = "D's logit" if "accuracy_d" in line else "critic"
        outputs = f"{named}: real {line['d_real']:.2g}, generated {line['d_fake']:.2g}"
    if "accuracy_d" in line:
        outputs += f", D right {line['accuracy_d']:.0%}"
    parts = [f"{line['images_per_second']:,.0f} images/s", outputs]
    if "jsd" in line:
        parts.append(f"value {line['value']:.2f} (perfect G: {_BEST_VALUE:.2f}), JSD at least {line['jsd']:.2f}")
    elif "value" in line:
        parts.append(f"value {line['value']:.3g}")
    parts.append(f"gradients D {line['gradient_d']:.3g}, G {line['gradient_g']:.3g}")
    if "diversity" in line:
        parts.append(f"diversity {line['diversity']:.2f}")
    if "kid" in line:
        parts.append(f"KID {line['kid']:.4f}")
    return "; ".join(parts + line["conditions"])
