"""The discriminator file: torch's logits, of every preset that can judge one picture."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from drawwell import Engine, GeneratorFileError, Judge
from drawwell.files.discriminator_file import read_discriminator
from drawwell.files.generator_file import read_generator
from drawwell.opening import find_discriminator, find_file
from drawwell_export import discriminator, judging
from drawwell_export.class_probe import fit_probe
from drawwell_export.judging import NotJudgedError
from drawwell_export.main import ExportConfig, main
from drawwell_export.parity import ParityError
from drawwell_export.real_pictures import Pictures, RealPictures, real_pictures
from drawwell_train.data import dataset
from drawwell_train.data.images import ImageData
from drawwell_train.networks.base import packed, to_images
from drawwell_train.presets import PRESETS, PresetName
from drawwell_train.run import checkpoint
from drawwell_train.run.checkpoint import Checkpoint
from drawwell_train.step import state
from tests import graphs
from tests.conftest import drawwell
from tests.export.test_presets import CLASSES, checkpoint_of

LIMIT = 1e-3
DISCRIMINATOR = "discriminator."
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "spectral": {"spectral_norm": True},
    "deviation": {"minibatch_std": True},
    "smoothed": {"label_smoothing": 0.1},
}


def pictures(count: int, classes: int = 0, seed: int = 0) -> Pictures:
    """Noise of a level that depends on the class."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, classes, count) if classes else None
    levels = 200 if labels is None else (labels * 60 + 80)[:, None, None, None]
    images = (chance.random((count, 28, 28, 1)) * levels).astype(np.uint8)
    return Pictures(images, labels)


def exported(trained: Checkpoint, out: Path) -> Judge:
    classes = len(trained.config.class_names)
    real = RealPictures(pictures(64, classes, 1), pictures(300, classes, 2))
    return discriminator.export(trained, real, pictures(100, classes, 3), "0" * 64, "noise", out)


def torchs_logits(trained: Checkpoint, some: Pictures) -> np.ndarray:
    """Of the discriminator of the checkpoint as it was trained, in evaluation mode."""
    network = state.load_discriminator(trained.config, trained.tensors)
    images = to_images(torch.from_numpy(some.images), 0.0 if trained.config.sigmoid else -1.0)
    with torch.no_grad():
        logits = network(images, None if some.labels is None else torch.from_numpy(some.labels))
    found: np.ndarray = logits.numpy()
    return found


def torchs_scores(trained: Checkpoint, learned: Pictures, some: Pictures) -> np.ndarray:
    """Of a classifier of the features of the discriminator as it was trained, which learned from ``learned``."""
    network = state.load_discriminator(trained.config, trained.tensors)

    def features(of: Pictures) -> torch.Tensor:
        images = to_images(torch.from_numpy(of.images), 0.0 if trained.config.sigmoid else -1.0)
        return network.features(images).flatten(2).sum(2)

    assert learned.labels is not None
    with torch.no_grad():
        learned_features, others = features(learned), features(some)
    probe = fit_probe(learned_features, torch.from_numpy(learned.labels), len(trained.config.class_names))
    found: np.ndarray = probe(others).numpy()
    return found


@pytest.mark.parametrize("classes", [(), CLASSES], ids=["no classes", "classes"])
@pytest.mark.parametrize(
    ("preset", "options"),
    [
        *((preset, "plain") for preset in PRESETS),
        ("dcgan", "spectral"),
        ("deep-cnn", "spectral"),
        ("dcgan", "smoothed"),
    ],
)
def test_the_logits_are_torchs(preset: PresetName, options: str, classes: tuple[str, ...], tmp_path: Path) -> None:
    trained = checkpoint_of(preset, classes, **OPTIONS[options])
    some = pictures(1000, len(classes), 9)
    with exported(trained, tmp_path / "discriminator.onnx") as judge:
        found = np.array([one.logit for one in judge.judge(some.images, some.labels)])
        assert judge.card.class_names == classes
        scores = judge.logits(judge.feeds(some.images, some.labels))[:, 1:]
    if classes:
        expected = torchs_scores(trained, pictures(300, len(classes), 2), some)
        assert np.abs(scores - expected).max() <= LIMIT * max(1, np.sqrt((expected.astype(float) ** 2).mean()))
    expected = torchs_logits(trained, some)
    unit = max(1, np.sqrt((expected.astype(float) ** 2).mean()))
    assert np.abs(found - expected).max() <= LIMIT * unit
    assert judge.card.parity.max_difference <= LIMIT * unit * 2
    assert expected.std() > 0
    model = onnx.load(tmp_path / "discriminator.onnx")
    assert [node.op_type for node in model.graph.node].count("BatchNormalization") == 0
    assert {opset.domain for opset in model.opset_import} == {""}


def test_p_real_follows_the_loss_and_its_smoothing(tmp_path: Path) -> None:
    targets = {}
    for preset, options in (
        ("dcgan", {}),
        ("dcgan", {"label_smoothing": 0.1}),
        ("sngan", {}),
        ("rpgan", {}),
        ("wgan", {}),
    ):
        with exported(checkpoint_of(preset, **options), tmp_path / "d.onnx") as judge:
            (one,) = judge.judge(pictures(1).images)
            targets[preset, *options] = judge.card.real_target
            assert (one.probability is None) == (judge.card.real_target is None)
    smoothed = {("dcgan",): 1, ("dcgan", "label_smoothing"): 0.9, ("sngan",): None, ("rpgan",): None, ("wgan",): None}
    assert targets == smoothed


def test_a_minibatch_deviation_is_that_of_real_groups(tmp_path: Path) -> None:
    trained = checkpoint_of("sngan", minibatch_std=True)
    real = pictures(64, seed=1)
    with exported(trained, tmp_path / "d.onnx") as judge:
        assert "as if among real ones" in judge.card.in_words()["Remarks"]
        together = np.array([one.logit for one in judge.judge(real.images)])
        alone = np.array([judge.judge(image[None])[0].logit for image in real.images])
    np.testing.assert_allclose(together, alone, atol=LIMIT)
    in_groups = torchs_logits(trained, real)  # whose groups vary a little around the mean
    without = np.concatenate([torchs_logits(trained, Pictures(image[None], None)) for image in real.images])
    assert np.abs(together - in_groups).mean() < 0.2 * np.abs(without - in_groups).mean()


def test_a_discriminator_of_tuples_has_no_opinion_of_one_picture(tmp_path: Path) -> None:
    trained = checkpoint_of("dcgan", pack=3, batch_size=66)
    assert len(packed(torch.zeros(66, 1, 28, 28), 3)) == 22
    with pytest.raises(
        NotJudgedError, match=r"judges 3 images together \(--pack 3\), and has no opinion of a single one"
    ):
        exported(trained, tmp_path / "d.onnx")
    assert not list(tmp_path.iterdir())


def test_logits_that_are_not_torchs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discriminator, "MAX_DIFFERENCE", -1)
    with pytest.raises(ParityError, match=r"is allowed, so no file was written"):
        exported(checkpoint_of("mlp"), tmp_path / "d.onnx")
    assert not list(tmp_path.iterdir())


def test_class_scores_that_are_not_torchs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = discriminator.by_torch

    def off(*arguments: Any) -> Any:
        rows = real(*arguments)
        rows[:, 1:] += 1
        return rows

    monkeypatch.setattr(discriminator, "by_torch", off)
    with pytest.raises(ParityError, match="the class scores of the exported discriminator differ from torch's"):
        exported(checkpoint_of("mlp", CLASSES), tmp_path / "d.onnx")
    assert not list(tmp_path.iterdir())


def diverged(run: Path, to: Path) -> Path:
    """A copy of a run whose discriminator computes no numbers."""
    shutil.copytree(run, to, ignore=shutil.ignore_patterns("*.onnx", "checkpoints"))
    found = checkpoint.find(run, None)[0]
    of_discriminator = [name for name in found.tensors if name.startswith(DISCRIMINATOR) and name.endswith("weight")]
    found.tensors[of_discriminator[0]].fill_(float("nan"))
    checkpoint.save(to / "checkpoints", found, 1)
    return to


def test_a_diverged_discriminator_is_left_out_and_the_generator_is_exported(tiny_run: Path, tmp_path: Path) -> None:
    run = diverged(tiny_run, tmp_path / "run")
    graphs.write_discriminator(run / "discriminator.onnx")  # of an earlier generator
    said = " ".join(drawwell("export", str(run)).stderr.split())
    assert f"{run / 'generator.onnx'}: " in said
    assert f"removed {run / 'discriminator.onnx'}: it belonged to the generator that was here before" in said
    assert "no discriminator.onnx: the run's discriminator computes logits that are no finite numbers" in said
    assert sorted(file.name for file in run.glob("*.onnx")) == ["generator.onnx"]
    with Engine(run / "generator.onnx") as engine:
        assert len(engine.generate(7, 3).images) == 3


def test_no_generator_is_left_beside_the_discriminator_of_another(
    tiny_run: Path, tiny_generator: Path, tmp_path: Path
) -> None:
    generator, beside = tmp_path / "generator.onnx", tmp_path / "discriminator.onnx"
    shutil.copy(tiny_run / "discriminator.onnx", beside)
    drawwell("export", str(tiny_run), "--no-judge", "--out", str(generator))
    assert read_discriminator(beside).card.generator == read_generator(generator).digest, "the same generator keeps it"
    drawwell("export", str(tiny_run), "--no-judge", "--step", "20", "--out", str(generator))
    assert not beside.exists()
    beside.write_bytes(b"notes of mine")
    drawwell("export", str(tiny_run), "--no-judge", "--out", str(generator))
    assert beside.read_bytes() == b"notes of mine"
    shutil.copy(tiny_run / "discriminator.onnx", beside)
    shutil.copy(find_file("fashion"), generator)
    assert find_discriminator(tiny_generator) == tiny_run / "discriminator.onnx"
    with pytest.raises(
        GeneratorFileError, match=r"discriminator.onnx: belongs to the generator .* and this is d9b06ba0ebb1"
    ):
        find_discriminator(generator)


def test_the_data_are_decoded_once_and_few_pictures_are_in_float32(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads, most = list[str](), list[int]()

    def load(source: str, *arguments: Any, **options: Any) -> ImageData:
        loads.append(source)
        return dataset.load(source, *arguments, **options)

    def counted(pixels: torch.Tensor, black: float) -> torch.Tensor:
        most.append(len(pixels))
        return to_images(pixels, black)

    monkeypatch.setattr("drawwell_export.real_pictures.load", load)
    monkeypatch.setattr("drawwell_export.real_pictures.to_images", counted)
    main(ExportConfig((tiny_run,), out=tmp_path / "generator.onnx"))
    assert loads == ["digits"]
    assert max(most) == 64


def test_a_class_is_named_by_the_features(tmp_path: Path) -> None:
    some = pictures(200, len(CLASSES), 9)
    assert some.labels is not None
    with exported(checkpoint_of("dcgan", CLASSES), tmp_path / "d.onnx") as judge:
        named = np.array([one.label for one in judge.judge(some.images)])
        assert judge.card.class_accuracy is not None
        assert judge.card.class_accuracy > 0.9
        found = judge.judge(some.images)
        given = judge.judge(some.images, [one.label for one in found if one.label is not None])
    assert (named == some.labels).mean() > 0.9
    assert [one.logit for one in found] == [one.logit for one in given]


def test_the_probe_separates_what_a_line_separates() -> None:
    torch.manual_seed(0)
    labels = torch.arange(300) % 3
    features = torch.randn(300, 5) + 3 * torch.eye(3, 5)[labels] + 1000
    probe = fit_probe(features, labels, 3)
    assert (probe(features).argmax(1) == labels).double().mean() > 0.9


def test_export_writes_the_discriminator_beside_the_generator(tiny_run: Path, tiny_generator: Path) -> None:
    file = read_discriminator(tiny_run / "discriminator.onnx")
    generator = read_generator(tiny_generator)
    card = file.card
    assert card.generator == generator.digest
    assert (card.name, card.image_shape, card.training) == ("digits", (28, 28, 1), generator.card.training)
    assert (card.scale.real.pictures, card.scale.drawn.pictures) == (250, 1024)
    assert card.parity.pictures == 1274
    content = file.content
    for word in (b".py", b"stack_trace", str(Path(__file__).parents[2]).encode(), b"pkg.torch"):
        assert word not in content


def test_the_quantiles_are_of_held_out_and_of_drawn_images(tiny_run: Path, tiny_generator: Path) -> None:
    trained = checkpoint.find(tiny_run, None)[0]
    real = real_pictures(trained.config)
    with Judge(tiny_run / "discriminator.onnx") as judge, Engine(tiny_generator) as engine:
        held_out = [one.percentile_real for one in judge.judge(real.held_out.images)]
        drawn = [one.percentile_drawn for one in judge.judge(engine.generate(0, 1024).images)]
        unseen = [one.percentile_drawn for one in judge.judge(engine.generate(1, 1024).images)]
    for percentiles in (held_out, drawn):
        np.testing.assert_allclose(np.sort(percentiles), np.linspace(0, 100, len(percentiles)), atol=1)
    np.testing.assert_allclose(np.sort(unseen), np.linspace(0, 100, 1024), atol=8)


def test_equal_runs_give_equal_discriminators(tiny_run: Path, tiny_generator: Path, tmp_path: Path) -> None:
    drawwell("export", str(tiny_run), "--out", str(tmp_path / "generator.onnx"))
    assert (tmp_path / "generator.onnx").read_bytes() == tiny_generator.read_bytes()
    assert (tmp_path / "discriminator.onnx").read_bytes() == (tiny_run / "discriminator.onnx").read_bytes()


def test_without_the_runs_images_there_is_a_generator_and_a_sentence(tiny_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.npy"
    np.save(other, pictures(500).images)
    out = tmp_path / "generator.onnx"
    said = " ".join(drawwell("export", str(tiny_run), "--out", str(out), "--data", str(other)).stderr.split())
    assert (
        f"no discriminator.onnx: {other} holds other images than the run learned from; name the data with --data"
        in said
    )
    assert out.exists()
    assert not (tmp_path / "discriminator.onnx").exists()
    gone = tmp_path / "gone"
    with pytest.raises(NotJudgedError, match=f"{gone}: no such file or folder; name the data with --data"):
        real_pictures(checkpoint_of("dcgan").config, str(gone))
    drawwell("export", str(tiny_run), "--out", str(tmp_path / "alone.onnx"), "--no-judge")
    assert not (tmp_path / "alone-discriminator.onnx").exists()


def test_too_few_held_out_images_place_nothing(tmp_path: Path) -> None:
    few = pictures(60)
    np.save(tmp_path / "few.npy", few.images)
    trained = checkpoint_of("dcgan")
    config = dataclasses.replace(trained.config, data_sha256=ImageData(few.images).sha256())
    with pytest.raises(NotJudgedError, match="held out 3 of its 60 images, and 10 are needed"):
        real_pictures(config, str(tmp_path / "few.npy"))


def test_a_layer_of_a_fixed_deviation_has_it_everywhere() -> None:
    layer = judging.FixedDeviation(0.25)
    found = layer(torch.zeros(2, 3, 4, 4))
    assert found.shape == (2, 4, 4, 4)
    assert (found[:, 3] == 0.25).all()
