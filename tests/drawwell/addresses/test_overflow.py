"""What an int8 file does on a processor without VNNI.

There, products of uint8 and int8 are added in pairs in 16 bits, which saturate (VPMADDUBSW). Such a processor is played
by ONNX's reference evaluator with a QLinearConv of that arithmetic.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx.version_converter
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

import drawwell
from drawwell.engine import backends
from drawwell.errors import ProviderError

Integers = npt.NDArray[np.int32]


def added_exactly(rows: Integers, filters: Integers) -> Integers:
    return rows @ filters


def added_in_16_bits(rows: Integers, filters: Integers) -> Integers:
    total = np.zeros((len(rows), filters.shape[1]), np.int32)
    for k in range(0, len(filters), 2):
        pair = rows[:, k, None] * filters[k] + rows[:, k + 1, None] * filters[k + 1]
        total += pair.clip(-(2**15), 2**15 - 1)
    return total


class QLinearConv(OpRun):
    """Activations uint8 with zero point 0, weights int8: all that drawwell writes."""

    add = staticmethod(added_exactly)

    def _run(
        self,
        x: Any,
        x_scale: Any,
        _x: Any,
        w: Any,
        w_scale: Any,
        _w: Any,
        y_scale: Any,
        _y: Any,
        bias: Any,
        **options: Any,
    ) -> tuple[npt.NDArray[np.uint8]]:
        top, left, bottom, right = options["pads"]
        padded = np.pad(x.astype(np.int32), ((0, 0), (0, 0), (top, bottom), (left, right)))
        windows = sliding_window_view(padded, w.shape[2:], (2, 3)).transpose(0, 2, 3, 4, 5, 1)  # [N, H, W, h, w, Cin]
        count, height, width = windows.shape[:3]
        filters = w.transpose(2, 3, 1, 0).reshape(-1, len(w)).astype(np.int32)
        sums = type(self).add(windows.reshape(-1, len(filters)), filters) + bias
        levels = np.round(sums * (x_scale * w_scale / y_scale)).clip(0, 255).astype(np.uint8)
        return (levels.reshape(count, height, width, -1).transpose(0, 3, 1, 2),)


class Processor:
    """In the place of a session."""

    def __init__(self, content: bytes, convolution: type[OpRun]) -> None:
        model = onnx.version_converter.convert_version(onnx.load_model_from_string(content), 19)  # the oldest it knows
        self._reference = ReferenceEvaluator(model, new_ops=[convolution])

    def run(self, names: list[str], feeds: dict[str, Any]) -> Any:
        with np.errstate(over="ignore"):  # its sigmoid, far out
            # one at a time, since numpy's products of one row and of several add in different orders
            rows = ({name: values[row : row + 1] for name, values in feeds.items()} for row in range(len(feeds["z"])))
            drawn: list[Any] = [self._reference.run(names, one) for one in rows]
            return [np.concatenate([images for (images,) in drawn])]


class Overflowing(QLinearConv):
    add = staticmethod(added_in_16_bits)


Overflowing.__name__ = "QLinearConv"


def test_exact_integers_of_any_implementation_draw_the_known_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = drawwell.open("fashion-int8").generate(7, 8).images
    monkeypatch.setattr(backends, "open_cpu", lambda file, _: Processor(file.content, QLinearConv))
    drawn = drawwell.open("fashion-int8", threads=1).generate(7, 8).images
    assert np.abs(drawn.astype(int) - wanted).max() <= 1


def test_overflow_is_refused_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "open_cpu", lambda file, _: Processor(file.content, Overflowing))
    with pytest.raises(
        ProviderError, match=r"\d+ of its 32 known answers are off .*; 6 may be\): .*VNNI.*--target cpu"
    ):
        drawwell.open("fashion-int8", threads=1)
