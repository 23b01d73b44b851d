"""The words of measures in a card: complete, in a fixed order, and bounded for every card."""

import random
from dataclasses import replace
from typing import get_args

import msgspec
import pytest

from drawwell.errors import GeneratorFileError
from drawwell.files.card import ModelCard, card_from_json, card_to_json
from drawwell.files.quality import Measure, Name
from tests import graphs

CARD = graphs.card(quality=graphs.QUALITY)
JSON = msgspec.json.encode(CARD)


def said_of(name: Name, value: float, real: float) -> str:
    """The row of a single measure."""
    words = replace(graphs.QUALITY, measures={name: Measure(value, real, 5000)}, class_shares={}, remarks=()).in_words()
    (heading,) = set(words) - {"Quality", "Real images", "Measured with"}
    return words[heading]


def test_the_card_shows_its_measures_after_the_parity() -> None:
    words = CARD.in_words()
    assert list(words)[-9:] == [
        "Parity",
        "Quality",
        "Real images",
        "Measured with",
        "Distance",
        "Variety",
        "Use in training",
        "Class shares",
        "Remarks",
    ]
    assert words["Quality"] == "10,000 to 60,000 generated images of seed 7, compared with 10,000 images of data"
    assert words["Real images"] == "the score of 5,000 others in the same test"
    assert words["Measured with"] == "a network"
    assert words["Distance"] == (
        "1,000 x KID 4.3 (real images: 0.0): kernel inception distance, which chance can take slightly below 0. "
        "Lower is better; 0 is best."
    )
    assert words["Variety"] == (
        "recall 55.1% (real images: 79.0%): share of real images that have a generated counterpart. Higher is better."
    )
    assert words["Use in training"] == (
        "GAN-train (fixed set) 81.2% (real images: 89.3%): accuracy on unseen real images of a classifier trained on "
        "60,000 generated images, each seen several times. Higher is better."
    )
    assert words["Class shares"] == "a 75.0%, b 25.0%"
    assert words["Remarks"] == "copying is not measured"


def test_measures_of_one_kind_are_one_row_in_a_fixed_order() -> None:
    measures: dict[Name, Measure] = {"density": Measure(0.83, 1, 9), "precision": Measure(0.71, 0.78, 9)}
    words = replace(graphs.QUALITY, measures=measures).in_words()
    assert words["Quality"].startswith("9 generated images")
    assert words["Realism"] == (
        "precision 71.0% (real images: 78.0%): share of generated images that lie among real images; "
        "density 0.83 (real images: 1.00): how closely real images surround a generated image. Higher is better."
    )


def test_many_classes_are_shown_by_the_most_and_the_least_frequent() -> None:
    shares = {f"c{number:02}": number / 190 for number in range(20)}
    shown = replace(graphs.QUALITY, class_shares=shares).in_words()["Class shares"]
    assert shown.startswith("c19 10.0%, c18 9.5%") and ", ..., " in shown and shown.endswith("c00 0.0%")
    assert shown.count("%") == 12


@pytest.mark.parametrize("name", get_args(Name))
def test_every_measure_is_shown_with_the_score_of_real_images(name: Name) -> None:
    low, high = said_of(name, 0.25, 0.75), said_of(name, 0.25, 0.5)
    assert low != high
    assert said_of(name, 1, 1) != said_of(name, 0, 1)


def test_figures_of_classifiers_have_deviations_and_the_worst_class_is_named() -> None:
    both = Measure(0.812, 0.893, 300_000, 0.004, 0.0021)
    classes = {"a": Measure(0.95, 0.97, 500, 0.01, 0.002), "b": Measure(0.55, 0.74, 500, 0.021, 0.003)}
    quality = replace(graphs.QUALITY, measures={"gan_train_fresh": both}, by_class={"gan_train_fresh": classes})
    assert quality.in_words()["Use in training"] == (
        "GAN-train (fresh images) 81.2% ± 0.4% (real images: 89.3% ± 0.2%; worst class b: 55.0% ± 2.1%, real images 74.0% ± 0.3%): "
        "accuracy on unseen real images of a classifier trained on 300,000 generated images, each seen once. Higher is better."
    )
    recall = replace(quality, measures={"class_recall": Measure(0.4, 0.8, 900)}, by_class={"class_recall": classes})
    assert recall.in_words()["Variety"] == (
        "recall within classes 40.0% (real images: 80.0%; worst class b: 55.0%, real images 74.0%): "
        "recall of each class by itself, mean over the classes. Higher is better."
    )


def test_spreads_of_latents_are_shown_in_their_order() -> None:
    spreads = {1.4: Measure(0.7, 0.9, 9), 0.7: Measure(0.6, 0.9, 9, 0.01), 1.0: Measure(0.8, 0.9, 9)}
    quality = replace(graphs.QUALITY, by_latent_spread=spreads)
    assert quality.in_words()["Use by latent spread"] == (
        "GAN-train (fresh images) with latents multiplied by a factor: 60.0% ± 1.0% at 0.7, 80.0% at 1, 70.0% at 1.4 "
        "(real images: 90.0%)"
    )
    card = graphs.card(quality=quality)
    assert card_from_json(card_to_json(card)) == card


def test_cards_without_classes_and_deviations_are_read_and_written_as_they_were() -> None:
    """Those of earlier measures have neither, and keep their bytes."""
    known = msgspec.json.decode(card_to_json(CARD))
    assert not {"by_class", "by_latent_spread"} & set(known["quality"])
    assert not any("real_spread" in measure for measure in known["quality"]["measures"].values())
    assert card_from_json(card_to_json(CARD)) == card_from_json(JSON) == CARD


def test_classes_and_deviations_are_written_where_there_are_some() -> None:
    measure = Measure(0.8, 0.9, 9, 0.01, 0.02)
    quality = replace(graphs.QUALITY, measures={"class_recall": measure}, by_class={"class_recall": {"cat": measure}})
    card = graphs.card(quality=quality)
    written = msgspec.json.decode(card_to_json(card))["quality"]
    assert written["by_class"]["class_recall"]["cat"]["real_spread"] == 0.02
    assert card_from_json(card_to_json(card)) == card


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert "1,000 x KID 0.0 (real images: 0.0)" in said_of("kid", -1e-9, -0.0)


@pytest.mark.parametrize(
    ("whole", "broken"),
    [
        (b'"kid"', b'"wisdom"'),
        (b"0.00432", b"1e10"),
        (b"0.00432", b"NaN"),
        (b"0.00432", b"1e999"),
        (b"0.00432", b'"0.00432"'),
        (b'"images":10000', b'"images":0'),
        (b'"by_class":{}', b'"by_class":{"wisdom":{}}'),
        (b'"by_latent_spread":{}', b'"by_latent_spread":{"0":{"value":1,"real":1,"images":1}}'),
        (b'"by_latent_spread":{}', b'"by_latent_spread":{"nan":{"value":1,"real":1,"images":1}}'),
        (b'"seed":7', b'"seed":-1'),
        (b"a network", b"\xff"),
        (b'"a network"', b"[" * 100_000),
        (b'"remarks":["copying is not measured"]', b'"remarks":"none"'),
    ],
)
def test_hostile_measures_are_a_sentence(whole: bytes, broken: bytes) -> None:
    assert JSON.count(whole)
    with pytest.raises(GeneratorFileError, match="its card is not valid"):
        card_from_json(JSON.replace(whole, broken))


def test_a_quality_without_measures_is_none() -> None:
    with pytest.raises(GeneratorFileError, match=r"length >= 1 - at `\$\.quality\.measures`"):
        card_from_json(msgspec.json.encode(graphs.card(quality=replace(graphs.QUALITY, measures={}))))


def test_a_fuzzed_card_is_a_sentence_or_can_be_shown() -> None:
    chance, shown = random.Random(0), 0
    for _ in range(3000):
        content = bytearray(JSON)
        for _ in range(chance.randint(1, 3)):
            content[chance.randrange(len(content))] = chance.choice(b'0123456789-+.eE"[]{},:nt\\\x00\xff')
        try:
            card = card_from_json(bytes(content))
        except GeneratorFileError:
            continue
        shown += 1
        assert all(len(fact) < 1000 for fact in ModelCard.in_words(card).values())
    assert 100 < shown < 2900
