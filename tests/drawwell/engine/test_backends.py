"""Where images are drawn. What CUDA needs is tried on the processor's memory, which ONNX Runtime binds in the same way."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drawwell.addresses.latents import latents
from drawwell.engine.backends import CpuBackend, CudaBackend
from drawwell.engine.fingerprint import fingerprint
from drawwell.engine.onnx_session import open_cpu
from drawwell.errors import DeviceMemoryError, ProviderError
from drawwell.files.generator_file import GeneratorFile, read_generator
from tests import graphs


@pytest.fixture(scope="module")
def file(tiny_generator: Path) -> GeneratorFile:
    return read_generator(tiny_generator)


class Scarce:
    """A session on a device where a run fits only up to so many images."""

    def __init__(self, file: GeneratorFile, most: int, reason: str = "CUDA failure 2: out of memory") -> None:
        self._session, self.most, self.reason = open_cpu(file, 1), most, reason
        self.shapes: list[int] = []

    def io_binding(self) -> Any:
        return self._session.io_binding()

    def run_with_iobinding(self, binding: Any) -> None:
        self._session.run_with_iobinding(binding)
        self.shapes.append(binding.get_outputs()[0].shape()[0])
        if self.shapes[-1] > self.most:
            raise RuntimeError(self.reason)


def feeds(count: int, dim: int = 100) -> dict[str, Any]:
    return {"z": latents(3, range(count), dim)}


def test_every_run_has_one_shape_and_draws_what_was_asked(file: GeneratorFile) -> None:
    session = Scarce(file, most=64)
    backend = CudaBackend(session, file.card, batch=64, device="cpu")
    wanted = CpuBackend(file, 1).run(feeds(64), False)
    for count in (64, 1, 7, 63):
        np.testing.assert_array_equal(backend.run(feeds(count), False), wanted[:count])
    assert set(session.shapes) == {64}


@pytest.mark.parametrize(("images", "runs"), [(1, 1), (2, 1), (63, 1), (64, 1), (65, 2), (129, 3)])
def test_a_device_makes_no_more_runs_than_it_must(file: GeneratorFile, images: int, runs: int) -> None:
    backend = CudaBackend(open_cpu(file, 1), file.card, batch=64, device="cpu")
    assert -(-images // backend.piece_of(images)) == runs


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("images", [1, 2, 16, 17, 40, 100, 1000])
def test_a_processor_gets_equal_pieces_that_are_not_too_long(file: GeneratorFile, images: int, threads: int) -> None:
    piece = CpuBackend(file, threads).piece_of(images)
    assert 1 <= piece <= CpuBackend.piece_images
    rounds, least = (math.ceil(math.ceil(images / size) / threads) for size in (piece, CpuBackend.piece_images))
    assert rounds == least


def test_images_handed_out_stay_as_they_are(file: GeneratorFile) -> None:
    backend = CudaBackend(open_cpu(file, 1), file.card, batch=8, device="cpu")
    first = backend.run(feeds(8), False)
    copied = first.copy()
    backend.run({"z": latents(4, range(8), 100)}, False)
    np.testing.assert_array_equal(first, copied)


def test_labels_are_padded_too(tmp_path: Path) -> None:
    card = graphs.card(class_names=("a", "b", "c"))
    labelled = read_generator(graphs.write(tmp_path / "labelled.onnx", graphs.labelled_model(), card))
    backend = CudaBackend(open_cpu(labelled, 1), labelled.card, batch=8, device="cpu")
    drawn = backend.run(feeds(3, graphs.DIM) | {"label": np.array([2, 0, 1])}, False)
    assert drawn[:, 0, 0, 0].tolist() == [2, 0, 1]


def test_the_shape_is_halved_until_it_fits(file: GeneratorFile) -> None:
    session = Scarce(file, most=50)
    assert CudaBackend(session, file.card, batch=256, device="cpu").piece_images == 32
    assert session.shapes == [256, 128, 64, 32]


def test_a_device_too_small_for_one_image_says_so(file: GeneratorFile) -> None:
    with pytest.raises(DeviceMemoryError, match="the memory of cuda is full"):
        CudaBackend(Scarce(file, most=0), file.card, device="cpu")


def test_another_failure_at_the_start_does_not_change_the_shape(file: GeneratorFile) -> None:
    session = Scarce(file, 0, "cuDNN failed")
    with pytest.raises(ProviderError, match=r"drawing failed on cuda \(cuDNN failed\)"):
        CudaBackend(session, file.card, batch=64, device="cpu")
    assert session.shapes == [64]


def test_memory_that_runs_out_later_is_told_apart_and_changes_no_shape(file: GeneratorFile) -> None:
    session = Scarce(file, most=64)
    backend = CudaBackend(session, file.card, batch=64, device="cpu")
    session.most = 0
    with pytest.raises(DeviceMemoryError, match="try the same call again later"):
        backend.run(feeds(3), False)
    session.most = 64
    assert len(backend.run(feeds(3), False)) == 3
    assert set(session.shapes) == {64}


def test_the_fingerprint_names_the_shape_of_a_device() -> None:
    assert fingerprint("cpu", 64).endswith("batch=64")
    assert "batch" not in fingerprint("cpu")


def test_a_failing_run_on_the_processor_is_a_sentence(file: GeneratorFile) -> None:
    with pytest.raises(ProviderError, match="drawing failed on cpu"):
        CpuBackend(file, 1).run({"z": np.zeros((1, 3), np.float32)}, False)
