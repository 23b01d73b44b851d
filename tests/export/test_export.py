"""Contract 3: the generator file."""

import copy
import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
import torch

from drawwell.addresses.latents import latents
from drawwell.engine.engine import Engine
from drawwell.files.card import Target
from drawwell.files.certified import Accuracy, Certified, Uplift
from drawwell.files.generator_file import read_generator
from drawwell_export import graph, parity, parts, quantise
from drawwell_export.main import export
from drawwell_export.parity import ParityError
from drawwell_export.targets import RECIPES
from drawwell_train.evaluation import record
from drawwell_train.networks.dcgan import DcganDiscriminator
from drawwell_train.run import checkpoint
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.run.identity import digest
from drawwell_train.step import state
from tests.conftest import drawwell
from tests.export.test_rewrites import trained
from tests.graphs import QUALITY
from tests.train.configs import configured


@pytest.fixture(scope="module")
def run64(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Narrow, 64 px and in colour, with batch norms that have seen something."""
    return untrained(64, 3, "normal", tmp_path_factory.mktemp("run"), width=8)


@pytest.fixture(scope="module")
def targets(run64: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Target, Path]:
    """One checkpoint, exported for every target."""
    files = {target: tmp_path_factory.mktemp("targets") / f"{target}.onnx" for target in get_args(Target)}
    for target, file in files.items():
        export(run64, file, target, QUALITY).close()
    return files


def untrained(size: int, channels: int, prior: str, out: Path, width: int = 4) -> Checkpoint:
    shape = {"size": size, "channels": channels, "width": width, "latent_dim": 12}
    config = configured(data="noise", out=out, prior=prior, **shape)
    built = state.build(config, torch.device("cpu"))
    for parameter in built.discriminator.parameters():  # so that its features tell images apart
        parameter.data.mul_(20 if parameter.dim() == 4 else 1)
    built.ema.load_state_dict(trained(size, channels, width).state_dict())
    return Checkpoint(1, config, state.to_tensors(built))


@pytest.fixture(scope="module")
def model(tiny_generator: Path) -> onnx.ModelProto:
    return onnx.load(tiny_generator)


def test_inputs_and_outputs_are_those_of_the_contract(model: onnx.ModelProto) -> None:
    (z,), (images,) = model.graph.input, model.graph.output
    assert (z.name, z.type.tensor_type.elem_type) == ("z", onnx.TensorProto.FLOAT)
    assert [d.dim_param or d.dim_value for d in z.type.tensor_type.shape.dim] == ["N", 100]
    assert (images.name, images.type.tensor_type.elem_type) == ("images", onnx.TensorProto.UINT8)
    assert [d.dim_param or d.dim_value for d in images.type.tensor_type.shape.dim] == ["N", 28, 28, 1]


@pytest.mark.parametrize("target", get_args(Target))
def test_every_target_is_standard_and_of_the_lowest_opset(targets: Mapping[Target, Path], target: Target) -> None:
    model = onnx.load(targets[target])
    kinds = [node.op_type for node in model.graph.node]
    assert "BatchNormalization" not in kinds
    assert {  # transposed convolutions, ordinary ones, integer ones
        "portable": (5, 0, 0),
        "cpu": (1, 12, 0),
        "cpu-int8": (1, 0, 12),
        "cuda": (4, 0, 0),
    }[target] == tuple(kinds.count(kind) for kind in ("ConvTranspose", "Conv", "QLinearConv"))
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 14)]
    assert model.ir_version == 7
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("target", get_args(Target))
def test_every_target_draws_torchs_pixels_within_what_its_card_says(
    targets: Mapping[Target, Path], run64: Checkpoint, target: Target
) -> None:
    engine = Engine(targets[target])
    assert engine.card.target == target
    found, allowed = engine.card.parity, RECIPES[target]
    assert found.addresses == allowed.addresses
    assert found.max_levels <= allowed.max_levels
    assert found.mean_levels <= allowed.mean_levels
    generator = state.load_ema(run64.config, run64.tensors)
    distance = np.abs(
        engine.generate(7, 300).images - parity.by_torch(generator)({"z": latents(7, range(300), 12)}).astype(int)
    )
    assert distance.mean() <= 2 * found.mean_levels + 0.01
    assert distance.max() <= max(allowed.max_levels, found.max_levels + 20 if target == "cpu-int8" else 0)


def test_int8_says_what_it_costs(targets: Mapping[Target, Path]) -> None:
    report = read_generator(targets["cpu-int8"]).card.parity
    assert report.feature_distance is not None
    assert report.feature_distance.images >= 4096
    assert 0 < report.feature_distance.floor < report.feature_distance.drawn
    assert 0 < report.mean_levels < report.p99_levels <= report.max_levels
    assert read_generator(targets["cpu"]).card.parity.feature_distance is None


@pytest.mark.parametrize("target", get_args(Target))
def test_measures_are_in_the_card_and_int8_says_that_they_are_of_floats(
    targets: Mapping[Target, Path], target: Target
) -> None:
    quality = read_generator(targets[target]).card.quality
    assert quality is not None
    assert quality.measures == QUALITY.measures
    more = quality.remarks[len(QUALITY.remarks) :]
    assert ["8-bit integers" in remark for remark in more] == [True] * (target == "cpu-int8")


def test_float16_is_half_the_size(targets: Mapping[Target, Path]) -> None:
    assert targets["cuda"].stat().st_size < 0.7 * targets["portable"].stat().st_size


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
    generator = state.load_ema(found.config, found.tensors)
    z = torch.from_numpy(latents(7, range(100), 100))
    expected = ((generator(z).permute(0, 2, 3, 1).numpy().astype(np.float64) + 1) * 127.5).round()
    assert np.abs(Engine(tiny_generator).generate(7, 100).images - expected).max() <= 1


def test_equal_runs_give_equal_files(tiny_run: Path, tiny_generator: Path, tmp_path: Path) -> None:
    drawwell("export", str(tiny_run), "--out", str(tmp_path / "again.onnx"))
    assert (tmp_path / "again.onnx").read_bytes() == tiny_generator.read_bytes()


def test_an_earlier_step_can_be_exported(tiny_run: Path, tiny_generator: Path, tmp_path: Path) -> None:
    said = drawwell("export", str(tiny_run), "--step", "20", "--out", str(tmp_path / "earlier.onnx")).stderr
    assert f"not measured; run drawwell evaluate {tiny_run} --step 20 --data DATA, then export again" in said
    assert read_generator(tmp_path / "earlier.onnx").card.quality is None
    assert read_generator(tmp_path / "earlier.onnx").card.training.steps == 20
    assert read_generator(tmp_path / "earlier.onnx").digest != read_generator(tiny_generator).digest


def test_the_certificate_that_lies_in_the_run_goes_into_the_card(tiny_run: Path, tmp_path: Path) -> None:
    run, of_ten = tmp_path / "run", Accuracy(0.5, 0.01)
    shutil.copytree(tiny_run, run)
    row = Uplift(0.1, 100, of_ten, Accuracy(0.6, 0.01), 0.5, True, "Bag", -0.02)
    worth = "10 DRAWN IMAGES ARE WORTH ABOUT 5 REAL ONES."
    certified = Certified("a.npz", "b.npz", "The generator saw 10 %.", worth, of_ten, (row,), 3, 30_000, 1000)
    record.write_certificate(run, checkpoint.find(run, None)[0], certified)
    drawwell("export", str(run))
    card = read_generator(run / "generator.onnx").card
    assert card.certificate == certified
    shown = drawwell("info", str(run / "generator.onnx")).stdout
    assert "DRAWN IMAGES HELP at 10 % of the real images (100): +10.00 points." in shown
    assert "real images of a.npz. The generator saw 10 %. 10 DRAWN IMAGES ARE WORTH ABOUT 5 REAL ONES." in " ".join(
        shown.split()
    )


def test_the_measures_that_lie_in_the_run_go_into_the_card(tiny_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("*.onnx"))
    file = record.write(run, checkpoint.find(run, None)[0], QUALITY)
    assert "quality: 3 measures in the card" in drawwell("export", str(run)).stderr
    assert read_generator(run / "generator.onnx").card.quality == QUALITY
    file.write_text("{}")
    assert (
        f"{file}: holds no valid measures" in drawwell("export", str(run), "--out", str(run / "x.onnx"), code=1).stderr
    )
    assert not (run / "x.onnx").exists()


@pytest.mark.parametrize(
    ("size", "channels", "prior"), [(28, 3, "uniform"), (32, 1, "normal"), (64, 3, "normal"), (128, 1, "uniform")]
)
def test_every_size_and_colour_is_exported(tmp_path: Path, size: int, channels: int, prior: str) -> None:
    engine = export(untrained(size, channels, prior, tmp_path), tmp_path / "generator.onnx")
    assert engine.card.image_shape == (size, size, channels)
    assert engine.card.target == "cpu"
    assert engine.generate(0, 3).images.std() > 1


def test_a_graph_that_draws_other_pixels_is_refused() -> None:
    generator, recipe = trained(28, 1), RECIPES["cpu"]
    other = copy.deepcopy(generator)
    other.get_parameter("head.0.bias").data.fill_(0.1)
    said = (
        r"differ from torch's by [\d.]+ levels on average and \d+ at most; 1 and 1 are allowed, so no file was written"
    )
    with pytest.raises(ParityError, match=said):
        parity.measure(
            [generator],
            DcganDiscriminator(28, 1, 4),
            graph.export(other, 12, recipe.rewrites),
            recipe,
            {"z": latents(0, range(64), 12)},
        )


def test_int8_beyond_its_mean_error_is_refused(
    run64: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "PERCENTILE", 50)
    monkeypatch.setattr(parts, "CALIBRATION_IMAGES", 256)
    monkeypatch.setitem(RECIPES, "cpu-int8", dataclasses.replace(RECIPES["cpu-int8"], addresses=256))
    with pytest.raises(ParityError, match=r"1\.5 and 255 are allowed, so no file was written"):
        export(run64, tmp_path / "generator.onnx", "cpu-int8")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_fails_leaves_nothing_behind(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "cpu", dataclasses.replace(RECIPES["cpu"], max_levels=-1))
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
    generator = trained(28, 1)
    model = graph.export(generator, 12, RECIPES["cpu"].rewrites)
    config = configured(latent_dim=12)
    wrong = parity.known_answers([generator], model, RECIPES["cpu"], config)
    monkeypatch.setattr(parity, "known_answers", lambda *_: wrong)
    with pytest.raises(ProviderError, match="known answers are off"):
        export(checkpoint.find(tiny_run, None)[0], out)
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["generator.onnx"]


def test_where_nothing_can_be_written_is_a_sentence(tiny_run: Path) -> None:
    error = drawwell("export", str(tiny_run), "--out", "/proc/nowhere/generator.onnx", code=1).stderr
    assert "/proc/nowhere/generator.onnx: cannot be written" in error
