"""Mixtures of real networks: their images are those of the members' own files, for every target."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drawwell.addresses.latents import members
from drawwell.cli.main import run
from drawwell.engine.engine import Engine
from drawwell.files.card import MIXTURE_FORMAT, Target
from drawwell_export import parity
from drawwell_export.main import export
from drawwell_export.parity import ParityError
from drawwell_export.targets import RECIPES
from drawwell_train.evaluation import record
from drawwell_train.evaluation.source import open_source
from drawwell_train.presets import PresetName
from drawwell_train.run import checkpoint
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.run.mixture import MOST_MEMBERS
from drawwell_train.step import state
from tests.export.test_presets import CLASSES, liven, short  # noqa: F401 - a fixture of this module too
from tests.graphs import QUALITY
from tests.train.configs import configured

COUNT = 3


def member(number: int, width: int = 8, preset: PresetName = "dcgan") -> Checkpoint:
    """Untrained, and different for every number."""
    config = configured(
        data=f"noise{number}",
        out=Path("noise"),
        name="noise",
        license=f"licence {number % 2}",
        width=width,
        latent_dim=12,
        preset=preset,
        class_names=CLASSES,
        seed=number,
    )
    torch.manual_seed(number)
    built = state.build(config, torch.device("cpu"))
    liven(built.ema)
    for parameter in built.discriminator.parameters():  # so that its features tell images apart
        parameter.data.mul_(5 if parameter.dim() == 4 else 1)
    return Checkpoint(10 + number, config, state.to_tensors(built))


@pytest.fixture(scope="module")
def trained() -> list[Checkpoint]:
    return [member(number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def mixtures(trained: list[Checkpoint], tmp_path_factory: pytest.TempPathFactory) -> Mapping[Target, Engine]:
    folder = tmp_path_factory.mktemp("mixtures")
    first, *more = trained
    return {target: export(first, folder / f"{target}.onnx", target, QUALITY, more) for target in get_args(Target)}


@pytest.fixture(scope="module")
def plain(trained: list[Checkpoint], tmp_path_factory: pytest.TempPathFactory) -> Mapping[Target, list[Engine]]:
    """Each member in a file of its own."""
    folder = tmp_path_factory.mktemp("plain")
    return {
        target: [export(one, folder / f"{target}-{one.step}.onnx", target) for one in trained]
        for target in get_args(Target)
    }


@pytest.mark.parametrize("target", get_args(Target))
def test_an_address_is_drawn_as_by_the_members_own_file(
    mixtures: Mapping[Target, Engine], plain: Mapping[Target, list[Engine]], target: Target
) -> None:
    batch = mixtures[target].generate(7, 100)
    alone = np.stack([engine.generate(7, 100).images for engine in plain[target]])
    by = members(7, range(100), COUNT, 12)
    assert set(by.tolist()) == set(range(COUNT))
    assert not np.array_equal(alone[0], alone[1]) and not np.array_equal(alone[1], alone[2])
    np.testing.assert_array_equal(batch.images, alone[by, np.arange(100)])
    assert batch.labels is not None
    labels = plain[target][0].generate(7, 100).labels
    assert labels is not None
    assert batch.labels.tolist() == labels.tolist()


@pytest.mark.parametrize("target", get_args(Target))
def test_every_member_is_within_parity_of_torch(
    mixtures: Mapping[Target, Engine], trained: list[Checkpoint], target: Target
) -> None:
    engine, allowed = mixtures[target], RECIPES[target]
    networks = [state.load_ema(one.config, one.tensors) for one in trained]
    expected = parity.by_torch(*networks)(engine.feeds(7, range(150))).astype(int)
    distance, by = np.abs(engine.generate(7, 150).images - expected), members(7, range(150), COUNT, 12)
    for one in range(COUNT):
        assert distance[by == one].mean() <= allowed.mean_levels
        assert distance[by == one].max() <= allowed.max_levels
    assert engine.card.parity.max_levels <= allowed.max_levels
    assert engine.card.parity.addresses == allowed.addresses


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**63 - 1),
    indices=st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 40), min_size=1, max_size=40),
    order=st.randoms(use_true_random=False),
)
@pytest.mark.parametrize("target", get_args(Target))
def test_an_image_does_not_depend_on_its_batch(
    mixtures: Mapping[Target, Engine], target: Target, seed: int, indices: list[int], order: object
) -> None:
    engine, shuffled = mixtures[target], list(range(len(indices)))
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    together = engine.generate(seed, indices=indices).images
    np.testing.assert_array_equal(
        engine.generate(seed, indices=[indices[place] for place in shuffled]).images, together[shuffled]
    )
    place = shuffled[0]
    np.testing.assert_array_equal(engine.generate(seed, indices=[indices[place]]).images[0], together[place])


@pytest.mark.parametrize("target", get_args(Target))
def test_operators_are_standard_and_every_member_is_looked_at_when_a_file_is_opened(
    mixtures: Mapping[Target, Engine], target: Target
) -> None:
    engine = mixtures[target]
    model = onnx.load(engine._path)
    assert [value.name for value in model.graph.input] == ["z", "label", "member"]
    assert {opset.domain for opset in model.opset_import} == {""}
    onnx.checker.check_model(model, full_check=True)
    known = engine.card.known_answers
    assert set(members(known.seed, known.indices, COUNT, 12).tolist()) == set(range(COUNT))
    assert len(known.indices) >= (32 if target == "cpu-int8" else 4)


def test_the_card_sums_what_the_members_learned_from(mixtures: Mapping[Target, Engine]) -> None:
    card = mixtures["cpu"].card
    assert (card.name, card.format_version, card.quality) == ("noise", MIXTURE_FORMAT, QUALITY)
    assert [one.dataset for one in card.members] == ["noise0", "noise1", "noise2"]
    assert [one.steps for one in card.members] == [10, 11, 12]
    assert (card.training.dataset, card.training.steps) == ("noise0 + noise1 + noise2", 33)
    assert card.training.license == "licence 0 + licence 1"
    assert card.training.images == sum(one.images for one in card.members)


def test_networks_of_several_kinds_can_be_mixed(tmp_path: Path) -> None:
    """Also where one of them has no layer for integers."""
    more = [member(2, width=16), member(3, preset="mlp", width=8), member(4, preset="deep-cnn", width=16)]
    engine = export(member(1), tmp_path / "mixture.onnx", "cpu-int8", more=more)
    alone = [export(one, tmp_path / "alone.onnx", "cpu-int8") for one in (member(1), *more)]
    by = members(7, range(40), 4, 12)
    expected = np.stack([one.generate(7, 40).images for one in alone])[by, np.arange(40)]
    np.testing.assert_array_equal(engine.generate(7, 40).images, expected)


def test_a_member_that_is_off_is_not_hidden_by_the_others(
    trained: list[Checkpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "cpu", replace(RECIPES["cpu"], max_levels=-1))
    with pytest.raises(ParityError):
        export(trained[0], tmp_path / "mixture.onnx", more=trained[1:])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def runs(trained: list[Checkpoint], tmp_path: Path) -> list[Path]:
    """Three runs, of which the first has a second checkpoint."""
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder, one in zip(folders, trained, strict=True):
        checkpoint.save(folder / "checkpoints", one, 5)
    checkpoint.save(folders[0] / "checkpoints", replace(member(7), step=20), 5)
    return folders


def test_runs_and_steps_are_named_on_the_command_line(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    a, b = map(str, runs[:2])
    assert run(["export", a, b, "--name", "both"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "2 generators, digest" in said
    assert f"not measured; run drawwell evaluate {a} {b} --data DATA, then export again" in said
    engine = Engine(runs[0] / "mixture.onnx")
    assert (engine.card.name, [one.steps for one in engine.card.members]) == ("both", [20, 11])
    assert run(["export", a, "--step", "10", "--step", "20", "--target", "portable"]) == 0
    assert f"drawwell evaluate {a} --step 10 --step 20 --data DATA" in " ".join(capsys.readouterr().err.split())
    assert [one.steps for one in Engine(runs[0] / "mixture-portable.onnx").card.members] == [10, 20]


def write(folder: Path, one: Checkpoint, **changes: object) -> str:
    config = replace(one.config, **changes)  # type: ignore[arg-type]
    built = state.build(config, torch.device("cpu"))
    checkpoint.save(folder / "checkpoints", Checkpoint(1, config, state.to_tensors(built)), 1)
    return str(folder)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"size": 32},
            "other at step 1 has images of size 32, {a} at step 20 has 28: the generators of a mixture must",
        ),
        ({"channels": 3}, "has colour channels 3"),
        ({"latent_dim": 13}, "has latent_dim 13"),
        ({"prior": "uniform"}, "has the prior uniform"),
        ({"class_names": ("shirt", "shoe", "hat")}, "has the classes shirt, shoe, hat"),
        ({"class_names": ()}, "has the classes none"),
        ({"name": "cats"}, "the runs have the names 'noise', 'cats': name their mixture with --name"),
    ],
)
def test_what_cannot_be_mixed_is_one_sentence(
    runs: list[Path], changes: dict[str, object], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(runs[0].parent / "other", member(9), **changes)
    assert run(["export", str(runs[0]), other]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert sentence.format(a=runs[0]) in said
    assert not list(runs[0].parent.rglob("*.onnx"))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("aa", "{a} at step 20 has the same weights as {a} at step 20: a mixture takes each generator once"),
        ("a" * (MOST_MEMBERS + 1), "33 generators are too many: a mixture has at most 32, because every server holds"),
        ("", "name the run folder to export, or several for a mixture"),
    ],
)
def test_none_too_many_and_the_same_are_refused(
    runs: list[Path], names: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", *[str(runs[0].parent / name) for name in names]]) == 1
    assert sentence.format(a=runs[0]) in " ".join(capsys.readouterr().err.split())


def test_a_mixture_has_measures_of_its_own(runs: list[Path], trained: list[Checkpoint]) -> None:
    first, second = checkpoint.find(runs[0], 10)[0], trained[1]
    file = record.write(runs[0], first, QUALITY, second)
    assert file.name.startswith("mixture-")
    assert record.read(runs[0], first, second) == QUALITY
    assert record.read(runs[0], second, first) is None, "another order is another mixture"
    assert record.read(runs[0], first) is None


def test_torch_measures_the_images_that_the_file_draws(trained: list[Checkpoint], runs: list[Path]) -> None:
    source = open_source(str(runs[1]), more=[runs[2]])
    assert source.checkpoint is not None
    assert [source.checkpoint.step, *(one.step for one in source.more)] == [11, 12]
    engine = export(trained[1], runs[0] / "two.onnx", more=[trained[2]])
    batch = engine.generate(3, 300)
    drawn = source.draw(3, range(300), batch.labels).astype(int)
    assert np.abs(batch.images - drawn).max() <= 1
