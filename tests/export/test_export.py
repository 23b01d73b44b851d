"""Contract 3: the generator file."""

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from drawwell.engine import Engine
from drawwell.generator_file import read_generator
from drawwell.latents import latents
from drawwell_export import graph, parity
from drawwell_export.main import export
from drawwell_export.parity import ParityError
from drawwell_train import checkpoint, state
from drawwell_train.checkpoint import Checkpoint
from drawwell_train.config import TrainConfig, digest
from tests.conftest import drawwell
from tests.export.test_rewrites import trained


@pytest.fixture(scope="module")
def model(tiny_generator: Path) -> onnx.ModelProto:
    return onnx.load(tiny_generator)


def test_inputs_and_outputs_are_those_of_the_contract(model: onnx.ModelProto) -> None:
    (z,), (images,) = model.graph.input, model.graph.output
    assert (z.name, z.type.tensor_type.elem_type) == ("z", onnx.TensorProto.FLOAT)
    assert [d.dim_param or d.dim_value for d in z.type.tensor_type.shape.dim] == ["N", 100]
    assert (images.name, images.type.tensor_type.elem_type) == ("images", onnx.TensorProto.UINT8)
    assert [d.dim_param or d.dim_value for d in images.type.tensor_type.shape.dim] == ["N", 28, 28, 1]


def test_the_graph_is_standard_folded_and_of_the_lowest_opset(model: onnx.ModelProto) -> None:
    kinds = [node.op_type for node in model.graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("ConvTranspose") == 3
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 14)]
    assert model.ir_version == 7
    onnx.checker.check_model(model, full_check=True)


def test_the_file_says_nothing_of_the_machine_that_made_it(tiny_generator: Path) -> None:
    content = tiny_generator.read_bytes()
    for word in (b".py", b"stack_trace", str(Path(__file__).parents[2]).encode(), b"pkg.torch"):
        assert word not in content


def test_the_card_is_filled(tiny_run: Path, tiny_generator: Path) -> None:
    card = read_generator(tiny_generator).card
    config = checkpoint.find(tiny_run, None)[0].config
    assert (card.name, card.prior, card.latent_dim, card.image_shape) == ("digits", "normal", 100, (28, 28, 1))
    assert (card.training.dataset, card.training.license) == ("digits", "for tests")
    assert (card.training.steps, card.training.images) == (30, 480)
    assert card.training.config_sha256 == digest(config)
    assert (card.parity.addresses, card.parity.batch_sizes) == (1024, (1, 7, 64))
    assert card.parity.max_levels <= 1
    assert card.parity.differing_share < 1e-3


def test_the_pixels_are_those_of_the_averaged_generator(tiny_run: Path, tiny_generator: Path) -> None:
    found = checkpoint.find(tiny_run, None)[0]
    generator = state.load_averaged(found.config, found.tensors)
    z = torch.from_numpy(latents(7, range(100), 100))
    wanted = ((generator(z).permute(0, 2, 3, 1).numpy().astype(np.float64) + 1) * 127.5).round()
    assert np.abs(Engine(tiny_generator).generate(7, 100).images - wanted).max() <= 1


def test_equal_runs_give_equal_files(tiny_run: Path, tiny_generator: Path, tmp_path: Path) -> None:
    drawwell("export", str(tiny_run), "--out", str(tmp_path / "again.onnx"))
    assert (tmp_path / "again.onnx").read_bytes() == tiny_generator.read_bytes()


def test_an_earlier_step_can_be_exported(tiny_run: Path, tiny_generator: Path, tmp_path: Path) -> None:
    drawwell("export", str(tiny_run), "--step", "20", "--out", str(tmp_path / "earlier.onnx"))
    assert read_generator(tmp_path / "earlier.onnx").card.training.steps == 20
    assert read_generator(tmp_path / "earlier.onnx").digest != read_generator(tiny_generator).digest


@pytest.mark.parametrize(
    ("size", "channels", "prior"), [(28, 3, "uniform"), (32, 1, "normal"), (64, 3, "normal"), (128, 1, "uniform")]
)
def test_every_size_and_colour_is_exported(tmp_path: Path, size: int, channels: int, prior: str) -> None:
    config = TrainConfig("noise", out=tmp_path, size=size, channels=channels, width=4, prior=prior, latent_dim=12)  # type: ignore[arg-type]
    built = state.build(config, torch.device("cpu"))
    built.averaged.load_state_dict(trained(size, channels).state_dict())
    engine = export(Checkpoint(1, config, state.to_tensors(built)), tmp_path / "generator.onnx")
    assert engine.card.image_shape == (size, size, channels)
    assert engine.generate(0, 3).images.std() > 1


def test_a_graph_that_draws_other_pixels_is_refused() -> None:
    generator = trained(28, 1)
    other = copy.deepcopy(generator)
    other.get_parameter("head.0.bias").data.fill_(0.1)
    with pytest.raises(ParityError, match=r"off by \d+ levels from torch, 1 are allowed: no file was written"):
        parity.measure(generator, graph.export(other, 12), 12, "normal")


def test_a_file_that_fails_leaves_nothing_behind(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "TOLERANCE_LEVELS", -1)
    with pytest.raises(ParityError):
        export(checkpoint.find(tiny_run, None)[0], tmp_path / "generator.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_draws_wrong_when_read_back_leaves_the_old_one(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drawwell.errors import ProviderError

    out = tmp_path / "generator.onnx"
    export(checkpoint.find(tiny_run, None)[0], out)
    before = out.read_bytes()
    wrong = parity.known_answers(trained(28, 1), 12, "normal")
    monkeypatch.setattr(parity, "known_answers", lambda *_: wrong)
    with pytest.raises(ProviderError, match="known answers are off"):
        export(checkpoint.find(tiny_run, None)[0], out)
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["generator.onnx"]


def test_where_nothing_can_be_written_is_a_sentence(tiny_run: Path) -> None:
    error = drawwell("export", str(tiny_run), "--out", "/proc/nowhere/generator.onnx", code=1).stderr
    assert "/proc/nowhere/generator.onnx: cannot be written" in error
