"""The engine: the same bytes whatever the batch, and no silent CPU."""

import pickle
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import drawwell
from drawwell.addresses.latents import labels
from drawwell.engine.backends import CpuBackend
from drawwell.engine.cores import cores
from drawwell.engine.engine import Engine
from drawwell.errors import GeneratorFileError, ProviderError, RequestError
from tests import graphs


@pytest.fixture(scope="module")
def engine(tiny_generator: Path) -> Engine:
    return Engine(tiny_generator)


def test_a_batch_names_what_it_holds(engine: Engine) -> None:
    batch = engine.generate(seed=7, count=3, start=5)
    assert batch.images.dtype == np.uint8
    assert batch.images.shape == (3, 28, 28, 1)
    assert (batch.seed, batch.indices, batch.labels, batch.digest) == (7, range(5, 8), None, engine.digest)
    assert len(batch) == 3
    assert not np.array_equal(batch.images[0], batch.images[1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**63 - 1), start=st.integers(0, 2**62), cut=st.integers(1, 149))
def test_an_image_does_not_depend_on_its_batch(engine: Engine, seed: int, start: int, cut: int) -> None:
    whole = engine.generate(seed, 150, start).images
    parts = [engine.generate(seed, cut, start).images, engine.generate(seed, 150 - cut, start + cut).images]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    scattered = [start + cut, start, start + 149, start]
    np.testing.assert_array_equal(engine.generate(seed, indices=scattered).images, whole[[cut, 0, 149, 0]])


def test_an_image_does_not_depend_on_threads_processes_or_callers(engine: Engine, tiny_generator: Path) -> None:
    count = 3 * engine.piece_images + 5
    wanted = engine.generate(3, count).images
    for threads in (1, 2, 3, 16):
        other = Engine(tiny_generator, threads=threads)
        np.testing.assert_array_equal(other.generate(3, count).images, wanted)
        np.testing.assert_array_equal(other.generate(3, 2).images, wanted[:2])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(engine)).generate(3, count).images, wanted)
    drawn: list[np.ndarray] = []
    callers = [threading.Thread(target=lambda: drawn.append(engine.generate(3, count).images)) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(drawn) == 4
    assert all(np.array_equal(images, wanted) for images in drawn)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "give count, the number of images, or indices"),
        ({"count": 0}, "count must be an integer of at least 1"),
        ({"count": 1.5}, "count must be an integer of at least 1"),
        ({"count": True}, "count must be an integer of at least 1"),
        ({"count": 2, "start": 2**63 - 1}, "index must be in"),
        ({"count": 2, "start": -1}, "start must be in"),
        ({"count": 2**70}, "index must be in"),
        ({"count": 2, "indices": [1]}, "not both"),
        ({"indices": []}, "at least one index"),
        ({"indices": ["1"]}, "must be an integer"),
    ],
)
def test_a_wrong_call_is_explained(engine: Engine, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        engine.generate(7, **arguments)


def test_a_wrong_seed_is_explained(engine: Engine) -> None:
    with pytest.raises(RequestError, match="seed must be in"):
        engine.generate(-1, 1)


@pytest.mark.parametrize(
    ("provider", "threads", "sentence"), [("CUDA", None, "must be one of auto, cuda, cpu"), ("cpu", 0, "at least 1")]
)
def test_a_wrong_provider_or_thread_count_is_no_silent_cpu(
    tiny_generator: Path, provider: Any, threads: int | None, sentence: str
) -> None:
    with pytest.raises(RequestError, match=sentence):
        drawwell.open(tiny_generator, provider=provider, threads=threads)


def test_more_than_memory_holds_is_explained(engine: Engine) -> None:
    with pytest.raises(
        RequestError, match=r"images in one batch need [\d,]+ GiB of memory: draw them in several calls"
    ):
        engine.generate(0, 10**15)


def test_a_closed_engine_says_so(tiny_generator: Path) -> None:
    engine = Engine(tiny_generator)
    engine.close()
    with pytest.raises(RequestError, match="is closed"):
        engine.generate(0, 1)


def test_rows_of_several_addresses_are_drawn_in_one_run(engine: Engine) -> None:
    parts = [engine.feeds(7, range(5, 9)), engine.feeds(2**63 - 1, np.array([3, 2**62])), engine.feeds(0, range(1))]
    images = engine.draw({"z": np.concatenate([part["z"] for part in parts])})
    wanted = [engine.generate(7, 4, 5), engine.generate(2**63 - 1, indices=[3, 2**62]), engine.generate(0, 1)]
    np.testing.assert_array_equal(images, np.concatenate([batch.images for batch in wanted]))


def test_a_piece_that_fails_ends_the_call_and_not_the_engine(
    tiny_generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, real, runs = Engine(tiny_generator, threads=2), CpuBackend.run, []

    def fail_once(self: CpuBackend, feeds: Any, alone: bool) -> np.ndarray:
        runs.append(len(feeds["z"]))
        if len(runs) == 3:
            raise ProviderError("drawing failed on cpu")
        return real(self, feeds, alone)

    monkeypatch.setattr(CpuBackend, "run", fail_once)
    with pytest.raises(ProviderError, match="drawing failed"):
        engine.generate(7, 1600)
    assert len(runs) < 10  # the rest was not drawn for nothing
    assert len(engine.generate(7, 100)) == 100


def test_an_image_that_depends_on_its_company_is_refused(tiny_generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = CpuBackend.run
    monkeypatch.setattr(CpuBackend, "run", lambda self, feeds, whole: real(self, feeds, whole) + np.uint8(whole))
    with pytest.raises(ProviderError, match="an image depends on the images that are drawn together with it"):
        Engine(tiny_generator)


def test_a_travelled_engine_uses_one_thread(engine: Engine) -> None:
    assert engine.threads == cores() > 0
    assert pickle.loads(pickle.dumps(engine)).threads == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_no_more_draw_at_once_than_were_allowed(
    tiny_generator: Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, real = Engine(tiny_generator, threads=threads), CpuBackend.run
    now: list[int] = []
    most: list[int] = []

    def counted(self: CpuBackend, feeds: Any, whole: bool) -> np.ndarray:
        now.append(1)
        most.append(len(now))
        try:
            return real(self, feeds, whole)
        finally:
            now.pop()

    monkeypatch.setattr(CpuBackend, "run", counted)
    with ThreadPoolExecutor(6) as callers:
        list(callers.map(lambda seed: engine.generate(seed, 200), range(12)))
    assert max(most) <= threads


def test_closing_waits_for_a_call_of_another_thread(tiny_generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, real, drawing = Engine(tiny_generator, threads=1), CpuBackend.run, threading.Event()

    def run(self: CpuBackend, feeds: Any, alone: bool) -> np.ndarray:
        drawing.set()
        return real(self, feeds, alone)

    monkeypatch.setattr(CpuBackend, "run", run)
    with ThreadPoolExecutor(1) as caller:
        drawn = caller.submit(engine.generate, 7, 5000)
        assert drawing.wait(60)
        engine.close()
        assert drawn.done()
        assert len(drawn.result()) == 5000
    with pytest.raises(RequestError, match="is closed"):
        engine.draw({"z": np.zeros((1, engine.card.latent_dim), np.float32)})


def test_the_known_answers_can_be_asked_for_again(tiny_generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, real = Engine(tiny_generator), CpuBackend.run
    engine.check()
    monkeypatch.setattr(CpuBackend, "run", lambda self, feeds, whole: real(self, feeds, whole) ^ np.uint8(255))
    with pytest.raises(ProviderError, match="known answers are off"):
        engine.check()


def test_a_graph_is_recorded_on_a_device_only(tiny_generator: Path) -> None:
    with pytest.raises(RequestError, match="cuda_graph works on CUDA only"):
        Engine(tiny_generator, "cpu", cuda_graph=True)


@pytest.mark.parametrize("change", ["no shape", "a sequence"])
def test_an_interface_of_another_kind_is_refused(tmp_path: Path, change: str) -> None:
    model = graphs.plain_model()
    if change == "no shape":
        model.graph.input[0].type.tensor_type.ClearField("shape")
    else:
        model.graph.input.append(onnx.helper.make_tensor_sequence_value_info("more", onnx.TensorProto.FLOAT, None))
    with pytest.raises(GeneratorFileError, match="do not fit its card"):
        Engine(graphs.write(tmp_path / "odd.onnx", model))


def test_a_graph_with_a_fixed_batch_is_refused(tmp_path: Path) -> None:
    model = graphs.plain_model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(GeneratorFileError, match="do not fit its card"):
        Engine(graphs.write(tmp_path / "fixed.onnx", model))


def test_right_seal_over_wrong_weights_is_caught_by_the_known_answers(tmp_path: Path) -> None:
    file = graphs.write(tmp_path / "wrong.onnx", graphs.plain_model(level=9))
    with pytest.raises(
        ProviderError,
        match=r"1 of its 1 known answers are off by more than 0 of 255 levels \(by up to 2; none may be\)",
    ):
        Engine(file)


def test_a_card_of_another_shape_than_the_graph_is_refused(tmp_path: Path) -> None:
    file = graphs.write(tmp_path / "shape.onnx", graphs.plain_model(), graphs.card(height=3))
    with pytest.raises(GeneratorFileError, match="do not fit its card"):
        Engine(file)


def test_a_graph_that_onnx_runtime_cannot_load_is_one_sentence(tmp_path: Path) -> None:
    model = graphs.plain_model()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(GeneratorFileError, match="ONNX Runtime cannot load 'plain'"):
        Engine(graphs.write(tmp_path / "unknown.onnx", model))


def test_labels_come_from_the_address(tmp_path: Path) -> None:
    wanted = labels(5, range(100), 3, graphs.DIM)
    batch = Engine(graphs.write_labelled(tmp_path / "labelled.onnx", "a", "b", "c")).generate(5, 100)
    assert batch.labels is not None
    assert batch.labels.tolist() == wanted.tolist()
    assert (batch.images == wanted[:, None, None, None]).all()


def test_cuda_that_cannot_be_had_is_an_error(tiny_generator: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this build has CUDA")
    with pytest.raises(ProviderError, match="the installed onnxruntime has no CUDA"):
        Engine(tiny_generator, provider="cuda")


def test_a_gpu_build_that_ends_on_the_cpu_says_so(tiny_generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without a device: the provider is listed, and the session comes without it."""
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *args, providers: real(*args, providers=[providers[-1]])
    )
    with pytest.warns(RuntimeWarning, match="drawing on the CPU: the installed onnxruntime has CUDA"):
        assert Engine(tiny_generator).provider == "cpu"
    with pytest.raises(ProviderError, match="the installed onnxruntime has CUDA, but cannot use it here"):
        Engine(tiny_generator, provider="cuda")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Engine(tiny_generator, provider="cpu").provider == "cpu"


def test_a_file_that_changed_does_not_travel(tmp_path: Path) -> None:
    file = graphs.write(tmp_path / "plain.onnx", graphs.plain_model())
    packed = pickle.dumps(Engine(file))
    graphs.write(file, graphs.plain_model(), graphs.card(name="other"))
    with pytest.raises(GeneratorFileError, match="has changed since it was opened"):
        pickle.loads(packed)


def test_open_names_the_bundled_generators() -> None:
    with pytest.raises(
        GeneratorFileError, match=r"nothing-such: there is no bundled generator of this name, only .*fashion"
    ):
        drawwell.open("nothing-such")
    for name, shape, classes in (("fashion", (28, 28, 1), 10), ("emoji", (64, 64, 3), 4)):
        card = drawwell.open(name).card
        assert (card.name, card.image_shape, len(card.class_names)) == (name, shape, classes)


def test_the_fingerprint_names_versions_provider_and_processor(engine: Engine) -> None:
    parts = dict(part.split("=", 1) for part in engine.fingerprint.split("; "))
    assert list(parts) == ["drawwell", "onnxruntime", "numpy", "deflate", "provider", "processor"]
    assert parts["onnxruntime"] == onnxruntime.__version__
    assert parts["provider"] == engine.provider
