"""Measuring a certificate: every classifier is trained, one mixing ratio is chosen for each share, and the test comes last."""

import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from drawwell.files.certified import Uplift
from drawwell_train.certify.certificate import Certificate, Inputs, Options, Second
from drawwell_train.certify.images import Labelled, Real
from drawwell_train.certify.trials import FIRST, SECOND, Answers, Trial, Trials
from drawwell_train.certify.verdict import accuracy, helps, verdict, worth
from drawwell_train.data.images import DataError, ImageData
from drawwell_train.evaluation.neighbours import copying, nearest
from drawwell_train.evaluation.source import Source
from drawwell_train.run.checkpoint import Say

_COPYING_IMAGES = 2_000
_LEAST_ABOVE_CHANCE = 0.1
"""How far the classifier of real images must be above the share of the largest class."""


def inputs_of(source: Source, real: Real, drawn: Labelled, selection_sha256: str, seed: int) -> Inputs:
    """Return the SHA-256 of all that a certificate depends on."""
    pixels = ImageData(drawn.images, drawn.labels).sha256(with_labels=True)
    return Inputs(source.digest, real.data_sha256, real.test_sha256, selection_sha256, seed, len(drawn), pixels)


def certify(
    source: Source, real: Real, drawn: Labelled, inputs: Inputs, options: Options, folder: Path, say: Say
) -> Certificate:
    """Train all classifiers and return the certificate. Classifiers are kept in ``folder``, and are not trained twice.

    Raises ``DataError`` for too few real images at a share, and where a classifier of real images cannot learn them.
    """
    for share in options.shares:
        real.share(share)
    protocol = repr((inputs.data, real.learn.images.shape, options.images_seen, options.flip, torch.get_num_threads()))
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
        generator_saw=generator_saw(source, real, options.shares),
        verdict=verdict(rows),
        worth=worth(rows, drawn, len(trials.drawn)),
        drawn=drawn,
        rows=rows,
        second=_second(trials, options.shares[-1], chosen[options.shares[-1]], options.seeds),
        copying=_copying(trials),
        test_images=len(real.test),
        overlap=real.overlap,
        augmentation="shifts by up to 2 pixels" + (", flips" if options.flip else ""),
        configurations=len(options.shares) * len(options.ratios),
        classes=real.class_names,
        inputs=inputs,
        options=options,
        machine=f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads",
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


def generator_saw(source: Source, real: Real, shares: Sequence[float]) -> str:
    """Return a sentence on which real images the generator saw: a run folder knows the SHA-256 of its data, a file does not."""
    if source.checkpoint is None:
        return (
            "IT IS NOT KNOWN WHICH REAL IMAGES THE GENERATOR SAW: a generator file does not say. It may have seen all of them, also "
            "where few are counted."
        )
    seen = source.checkpoint.config.data_sha256
    if seen == real.data_sha256:
        return (
            "THE GENERATOR SAW ALL REAL IMAGES: accuracies with fewer real images do not show its worth to somebody who has only "
            "these few."
        )
    for share in shares:
        part = real.share(share)
        if seen == ImageData(part.images, part.labels).sha256(with_labels=True):
            return f"The generator saw {100 * share:g} % of the real images: the same ones as the classifiers of this share."
    return "The generator saw other images than these real ones, by their SHA-256."
