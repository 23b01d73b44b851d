"""Measuring a certificate: every classifier is trained, one mixing ratio is chosen for each share, and the test comes last."""

import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from drawwell.files.certified import Second, Uplift
from drawwell.files.selection import Selection
from drawwell_train.certify.certificate import Certificate, Inputs, Options
from drawwell_train.certify.images import Labelled, Real
from drawwell_train.certify.trials import FIRST, SECOND, Answers, Trial, Trials
from drawwell_train.certify.verdict import accuracy, equivalent, helps, verdict, worth
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation.neighbours import copying, nearest
from drawwell_train.evaluation.source import Source
from drawwell_train.run.checkpoint import Say

_COPYING_IMAGES = 2_000
_LEAST_ABOVE_CHANCE = 0.1
"""How far the classifier of real images must be above the share of the largest class."""


def inputs_of(source: Source, real: Real, drawn: Labelled, selection: Selection | None, seed: int) -> Inputs:
    """Return the SHA-256 of all that a certificate depends on.

    Raises ``DataError`` if the generator, or the classifier that selected, learned from the test images.
    """
    gate = "" if selection is None else _gate_data(selection)
    if real.test_sha256 in (*source.data_sha256, gate):
        raise DataError(
            f"the generator {'or its selection ' if gate else ''}learned from the images of --test: name others, that no training saw"
        )
    return Inputs(
        generator=source.digest,
        data=real.data_sha256,
        test=real.test_sha256,
        selection="" if selection is None else selection.sha256,
        seed=seed if selection is None else selection.seed,
        images=len(drawn),
        drawn_pixels=ImageData(drawn.images, drawn.labels).sha256(with_labels=True),
        generator_data=source.data_sha256,
        gate_data=gate,
    )


def certify(
    source: Source, real: Real, drawn: Labelled, inputs: Inputs, options: Options, folder: Path, say: Say
) -> Certificate:
    """Train all classifiers and return the certificate. Classifiers are kept in ``folder``, and are not trained twice.

    Raises ``DataError`` for too few real images at a share, and where a classifier of real images cannot learn them.
    """
    for share in options.shares:
        real.share(share)
    learned = inputs.data, real.learn.images.shape
    protocol = repr((*learned, options.images_seen, options.flip, torch.get_num_threads(), torch.__version__))
    planned = _planned(options)
    trials = Trials(real, drawn, options.images_seen, options.flip, folder, protocol, inputs.drawn_pixels, say, planned)
    _check_learnable(trials, options)
    chosen = {share: _best_ratio(trials, share, options.ratios) for share in options.shares}
    return _certificate(trials, chosen, source, inputs, options)


def _planned(options: Options) -> int:
    """Classifiers that are asked for, those of the best ratio twice: to choose it, and to test it."""
    shares, ratios, seeds = len(options.shares), len(options.ratios), options.seeds
    return 1 + shares * ratios + seeds * (2 * shares + 1) + 3 * seeds


def _check_learnable(trials: Trials, options: Options) -> None:
    validation = trials.real.validation
    found = trials.validated(Trial(options.shares[-1], 0.0, 0))
    largest = float(np.bincount(validation.labels).max() / len(validation))
    if found < largest + _LEAST_ABOVE_CHANCE:
        raise DataError(
            f"a classifier cannot learn the real images, so there is no certificate: it names {found:.0%} of unseen ones correctly, "
            f"and always naming the largest class gives {largest:.0%}; check the labels of --data, or train longer (without --quick)"
        )


def _best_ratio(trials: Trials, share: float, ratios: Sequence[float]) -> float:
    """The share of drawn images in a batch that is best on the validation part."""
    return max(ratios, key=lambda ratio: trials.validated(Trial(share, ratio, 0)))


def _certificate(
    trials: Trials, chosen: dict[float, float], source: Source, inputs: Inputs, options: Options
) -> Certificate:
    seeds, real = range(options.seeds), trials.real
    drawn = accuracy([trials.tested(Trial(0, 1.0, seed)).accuracy for seed in seeds])
    rows = tuple(_row(trials, share, ratio, options.seeds) for share, ratio in chosen.items())
    return Certificate(
        generator_saw=generator_saw(source.data_sha256, real, options.shares),
        verdict=verdict(rows),
        worth=worth(rows, drawn, len(trials.drawn)),
        drawn=drawn,
        rows=rows,
        second=_second(trials, options.shares[-1], chosen[options.shares[-1]], options.seeds),
        copying=_copying(trials),
        test_images=len(real.test),
        overlap=real.overlap,
        augmentation="shifts of each batch by up to 2 pixels" + (", flips" if options.flip else ""),
        configurations=len(options.shares) * len(options.ratios),
        classes=real.class_names,
        inputs=inputs,
        options=options,
        machine=f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads",
        worth_images=None if (found := equivalent(rows, drawn.mean)) is None else round(found),
        kept=trials.kept,
    )


def _row(trials: Trials, share: float, ratio: float, seeds: int) -> Uplift:
    alone, mixed = (_answers(trials, share, drawn, seeds) for drawn in (0.0, ratio))
    real, both = (accuracy([one.accuracy for one in answers]) for answers in (alone, mixed))
    gains = np.mean([one.by_class for one in mixed], 0) - np.mean([one.by_class for one in alone], 0)
    worst = int(gains.argmin())
    return Uplift(
        share,
        len(trials.real.share(share)),
        real,
        both,
        ratio,
        helps(real, both, seeds),
        trials.real.class_names[worst],
        float(gains[worst]),
    )


def _answers(trials: Trials, share: float, drawn: float, seeds: int, architecture: str = FIRST) -> list[Answers]:
    return [trials.tested(Trial(share, drawn, seed, architecture)) for seed in range(seeds)]


def _second(trials: Trials, share: float, ratio: float, seeds: int) -> Second:
    real, drawn, both = (
        accuracy([one.accuracy for one in _answers(trials, some, part, seeds, SECOND)])
        for some, part in ((share, 0.0), (0.0, 1.0), (share, ratio))
    )
    return Second(SECOND, share, real, drawn, both)


def _copying(trials: Trials) -> float:
    learned = trials.real.learn.images
    ours, unseen = (
        nearest(images[:_COPYING_IMAGES], learned) for images in (trials.drawn.images, trials.real.test.images)
    )
    return copying(ours, unseen)


def generator_saw(data: Sequence[str], real: Real, shares: Sequence[float]) -> str:
    """Return a sentence on which real images a generator saw, by the SHA-256 of the images that each of its parts learned from."""
    first, *others = dict.fromkeys(data) or [""]
    if others or not first:
        return (
            "IT IS NOT KNOWN WHICH REAL IMAGES THE GENERATOR SAW: its file does not say. It may have seen all of them, also where few "
            "are counted."
        )
    if first == real.data_sha256:
        return "THE GENERATOR SAW ALL REAL IMAGES, also those that choose the mixing ratio." + _flattered("fewer")
    for share in sorted({*shares, 1.0}):
        part = real.share(share)
        if first == ImageData(part.images, part.labels).sha256(with_labels=True):
            said = f"The generator saw the {len(part):,} real images of the row of {100 * share:g} %, and no others."
            return said + (_flattered(f"fewer than {len(part):,}") if shares[0] < share else "")
    return (
        f"IT IS NOT KNOWN WHICH REAL IMAGES THE GENERATOR SAW: the SHA-256 of its training data, {first[:12]}, is neither that of --data "
        "nor that of a row. It may have seen all of them, also where few are counted."
    )


def _flattered(fewer: str) -> str:
    return f" ACCURACIES WITH {fewer.upper()} REAL IMAGES DO NOT SHOW ITS WORTH TO SOMEBODY WHO HAS ONLY THESE FEW."


def _gate_data(selection: Selection) -> str:
    gate = selection.how.get("gate", {})
    return str(gate.get("all_sha256", ""))
