"""A selection keeps the right images, raises GAN-train where the generator is wrong, and is refused with a sentence where it cannot be."""

from dataclasses import replace

import numpy as np
import pytest

from drawwell.errors import DrawwellError
from drawwell.files.card import ModelCard
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation.classifier import Classifier, Scores
from drawwell_train.evaluation.reference import Sources
from drawwell_train.selecting import candidates
from drawwell_train.selecting.budgets import read_budgets
from drawwell_train.selecting.candidates import Stream, choose, first_of_each_class
from drawwell_train.selecting.gain import train_meter
from drawwell_train.selecting.gate import Gate, RealImages, learn_gate, read_real
from drawwell_train.selecting.rules import read_criteria
from tests.train.selecting.makers import DIM, Copier

SEEN = 40 * 128
STREAM = Stream(3, 50, 20_000)
AGREE = read_criteria("agree", None, None)


def said(_: str) -> None:
    """What is said is for a terminal."""


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest) -> RealImages:
    """Digits of half the size in two parts."""
    whole = request.getfixturevalue("digits")
    small = ImageData(np.ascontiguousarray(whole.images[:, ::2, ::2]), whole.labels, whole.class_names)
    rows = np.random.default_rng(0).permutation(len(small.images))
    assert small.labels is not None
    parts = [
        replace(small, images=small.images[part], labels=small.labels[part]) for part in (rows[1000:], rows[:1000])
    ]
    training, validation = parts
    return RealImages(training, validation, small.sha256(with_labels=True))


@pytest.fixture(scope="module")
def gate(real: RealImages) -> Gate:
    return learn_gate(real, 60 * 128, said)


class Reader(Classifier):
    """A gate without a network: it is sure of the class that the brightness of an image tells, less so of darker ones."""

    def __init__(self) -> None:
        """Nothing to learn."""

    def scores_of(self, images: np.ndarray) -> Scores:
        means = images.reshape(len(images), -1).mean(1)
        chances = np.random.default_rng(0).random((256, 3))[means.astype(int)]
        return Scores(
            np.log(chances / chances.sum(1, keepdims=True)).astype(np.float32), means[:, None].astype(np.float32)
        )


class Noise(Copier):
    """Three classes of noise of different brightness, by the address alone."""

    def __init__(self) -> None:
        images = np.arange(256, dtype=np.uint8).repeat(4).reshape(256, 2, 2, 1)
        super().__init__(ImageData(images, np.arange(256) % 3, ("a", "b", "c")))


@pytest.mark.parametrize("rule", ["agree", "confident", "diverse"])
def test_the_choice_is_the_same_however_candidates_are_drawn(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "GROUP_IMAGES", 20)
    generator = Noise()
    budgets, criteria = read_budgets(generator.card, None, "a=33,c=50"), read_criteria(rule, None, None)  # type: ignore[arg-type]
    found = []
    for size in (37, 2000):
        monkeypatch.setattr(candidates, "_PIECE_IMAGES", size)
        found.append(choose(generator, Reader(), STREAM, budgets, criteria, said))
    assert found[0].indices.tolist() == found[1].indices.tolist()
    labels = generator.generate(3, indices=found[0].indices).labels
    assert labels is not None and np.bincount(labels, minlength=3).tolist() == [33, 0, 50]
    assert found[0].indices[0] >= 50 and len(set(found[0].indices.tolist())) == 83
    assert found[0].scored[1] == 0, "images of a class that nobody asked for are not drawn"


def test_only_images_that_pass_are_chosen_and_all_of_them_with_agree() -> None:
    generator = Noise()
    chosen = choose(generator, Reader(), STREAM, np.array([20, 20, 20]), AGREE, said)
    batch = generator.generate(3, indices=chosen.indices)
    named = Reader().scores_of(batch.images).log_probabilities.argmax(1)
    assert batch.labels is not None and (named == batch.labels).all()
    first = generator.generate(3, indices=range(50, int(chosen.indices[0]) + 1))
    assert first.labels is not None
    agreeing = Reader().scores_of(first.images).log_probabilities.argmax(1) == first.labels
    assert np.flatnonzero(agreeing)[0] == len(first) - 1, "no earlier image passes"


def test_budgets_that_are_not_met_say_how_many_came() -> None:
    generator = Noise()
    with pytest.raises(
        DrawwellError, match=r"100 candidates gave too few images: \d+ of 9,999 of class 'b'\. Nothing was"
    ) as error:
        choose(generator, Reader(), replace(STREAM, limit=100), np.array([0, 9999, 0]), AGREE, said)
    labels = generator.generate(3, indices=range(50, 150))
    assert labels.labels is not None
    agreeing = Reader().scores_of(labels.images).log_probabilities.argmax(1) == 1
    came = int((agreeing & (labels.labels == 1)).sum())
    assert f"{came} of 9,999" in str(error.value)


def test_the_first_of_each_class_are_chosen_by_nobody() -> None:
    card = Noise().card
    found = first_of_each_class(card, STREAM, np.array([5, 0, 2]))
    from drawwell.addresses.latents import labels

    all_labels = labels(3, range(50, 500), 3, DIM)
    expected = np.sort(
        np.concatenate([50 + np.flatnonzero(all_labels == 0)[:5], 50 + np.flatnonzero(all_labels == 2)[:2]])
    )
    assert found.tolist() == expected.tolist()


def test_agree_raises_gan_train_of_a_generator_that_is_wrong_half_the_time(real: RealImages, gate: Gate) -> None:
    generator = Copier(real.training, wrong=0.5)
    budgets = read_budgets(generator.card, 600, None)
    chosen = choose(generator, gate.classifier, STREAM, budgets, AGREE, said)
    wrong = np.mean([generator.is_wrong(3, int(index)) for index in chosen.indices])
    assert wrong < 0.05
    assert 0.35 < chosen.passed.sum() / chosen.scored.sum() < 0.6
    meter = train_meter(generator, real.validation, STREAM, budgets, 1, SEEN, said)
    gain = meter.measure(chosen.indices)
    assert gain.points > 2
    assert (gain.images, gain.classifiers, gain.deviation) == (600, 1, None)


def test_a_perfect_generator_loses_nothing(real: RealImages, gate: Gate) -> None:
    generator = Copier(real.training)
    budgets = read_budgets(generator.card, 600, None)
    chosen = choose(generator, gate.classifier, STREAM, budgets, AGREE, said)
    assert chosen.passed.sum() / chosen.scored.sum() > 0.75
    meter = train_meter(generator, real.validation, STREAM, budgets, 2, SEEN, said)
    gain = meter.measure(chosen.indices)
    assert gain.points > -2
    assert gain.deviation is not None


def test_a_selection_of_one_class_is_measured_beside_unselected_images_of_the_others(
    real: RealImages, gate: Gate
) -> None:
    generator = Copier(real.training, wrong=0.5)
    budgets = read_budgets(generator.card, None, "3=50")
    chosen = choose(generator, gate.classifier, STREAM, budgets, AGREE, said)
    gain = train_meter(generator, real.validation, STREAM, budgets, 1, 128, said).measure(chosen.indices)
    assert (len(chosen.indices), gain.images) == (50, 500)


def test_all_images_are_drawn_with_the_spread_and_so_is_the_gain(real: RealImages, gate: Gate) -> None:
    """The gate, the selected and the unselected classifiers see what the selection will draw."""
    generator, stream = Copier(real.training), replace(STREAM, spread=1.5)
    budgets = read_budgets(generator.card, 20, None)
    chosen = choose(generator, gate.classifier, stream, budgets, AGREE, said)
    assert generator.spreads == {1.5}
    train_meter(generator, real.validation, stream, budgets, 1, 128, said).measure(chosen.indices)
    assert generator.spreads == {1.5}


def test_a_gate_names_its_weights_and_its_data(real: RealImages, gate: Gate) -> None:
    record = gate.record
    assert record.weights_sha256 == gate.classifier.weights_sha256()
    assert record.data_sha256 == real.training.sha256(with_labels=True)
    assert record.all_sha256 == real.sha256
    assert (record.images, record.validation_images) == (4000, 1000)
    assert Classifier(1, 10, 0).weights_sha256() != record.weights_sha256


def test_a_gate_that_cannot_learn_the_data_selects_nothing(real: RealImages) -> None:
    shuffled = np.random.default_rng(0).integers(0, 10, len(real.training.images))
    confused = replace(real, training=replace(real.training, labels=shuffled))
    with pytest.raises(
        DataError, match=r"the gate names only [\d.]+% of 1,000 real images correctly, and 60% are needed"
    ):
        learn_gate(confused, 5 * 128, said)


def test_classes_of_the_data_and_of_the_generator() -> None:
    ten = Copier(ImageData(np.zeros((10, 28, 28, 1), np.uint8), np.arange(10), tuple("0123456789"))).card
    real = read_real(Sources("digits"), ten, np.ones(10, np.int64))
    assert (len(real.training.images), len(real.validation.images)) == (4167, 833)
    again = read_real(Sources("digits"), ten, np.ones(10, np.int64))
    assert np.array_equal(real.validation.images, again.validation.images)
    other = replace_names(ten, tuple("abcdefghi"))
    with pytest.raises(DataError, match=r"digits: has the classes '0', .*, and the generator 'a', .*"):
        read_real(Sources("digits"), other, np.ones(9, np.int64))
    more = replace_names(ten, (*map(str, range(11)),))
    with pytest.raises(DataError, match="digits: has no images of class '10', which are asked for"):
        read_real(Sources("digits"), more, np.ones(11, np.int64))
    read_real(Sources("digits"), more, np.array([1] * 10 + [0]))


def replace_names(card: ModelCard, names: tuple[str, ...]) -> ModelCard:
    return replace(card, class_names=names)
