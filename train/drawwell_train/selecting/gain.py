"""What a selection gains: GAN-train (Shmelkov et al. 2018) with the chosen addresses and with the first ones of each class."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drawwell.files.selected import GainRecord
from drawwell.generator import ImageGenerator
from drawwell_train.data.images import ImageData, check_memory
from drawwell_train.evaluation.classifier import Classifier
from drawwell_train.run.checkpoint import Say
from drawwell_train.selecting.budgets import Budgets
from drawwell_train.selecting.candidates import IndexArray, Stream, first_of_each_class

MEASURED_IMAGES = 60_000
"""The most images of a selection that the classifiers train on: of a larger one, random ones."""
_SEED = 0

Accuracies = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Trainer:
    """Trains classifiers on drawn images of one generator, and measures them on the validation images."""

    generator: ImageGenerator
    validation: ImageData
    stream: Stream
    images: int
    classifiers: int
    images_seen: int
    say: Say

    def accuracies(self, what: str, indices: IndexArray) -> Accuracies:
        """Train a classifier for each seed on ``images`` of the ``indices``; ``what`` they are is for the message."""
        chance = np.random.default_rng(_SEED)
        indices = np.sort(chance.choice(indices, self.images, replace=False))
        pixels = int(np.prod(self.generator.card.image_shape))
        check_memory(len(indices) * pixels, f"{len(indices):,} images to measure the selection with")
        batch = self.stream.draw(self.generator, indices)
        assert batch.labels is not None and self.validation.labels is not None, "budgets are of classes"
        found = []
        for seed in range(self.classifiers):
            self.say(f"training classifier {seed + 1} of {self.classifiers} on {len(indices):,} {what} images")
            classes = len(self.generator.card.class_names)
            classifier = Classifier(batch.images.shape[-1], classes, seed, self.images_seen)
            classifier.learn(batch.images, batch.labels)
            found.append(classifier.accuracy(self.validation.images, self.validation.labels))
        return np.array(found)


@dataclass(frozen=True)
class GainMeter:
    """Measures selections of one generator. ``train_meter`` makes one."""

    trainer: _Trainer
    others: IndexArray
    """Unselected images of the classes without a budget."""
    unselected: Accuracies
    """Accuracies of the classifiers of unselected images, float64 ``[classifiers]``."""

    def measure(self, indices: IndexArray) -> GainRecord:
        """Train a classifier for each seed on the chosen ``indices``, and compare it with the unselected one of the same seed."""
        trainer = self.trainer
        selected = trainer.accuracies("selected", np.union1d(indices, self.others))
        differences = selected - self.unselected
        deviation = float(differences.std(ddof=1)) if len(differences) > 1 else None
        means = float(selected.mean()), float(self.unselected.mean())
        return GainRecord(*means, deviation, trainer.classifiers, trainer.images, trainer.images_seen)


def train_meter(
    generator: ImageGenerator,
    validation: ImageData,
    stream: Stream,
    budgets: Budgets,
    classifiers: int,
    images_seen: int,
    say: Say,
) -> GainMeter:
    """Train the classifiers of unselected images, with which every selection is compared. It takes as long as a measurement.

    Unselected images are the first addresses of each class, as many as the budget. A class without a budget would be unknown to
    the classifiers, so both kinds also train on unselected images of it.
    """
    filled = np.where(budgets > 0, budgets, budgets.max())
    first = first_of_each_class(generator.card, stream, filled)
    others = first_of_each_class(generator.card, stream, filled * (budgets == 0))
    images = min(len(first), MEASURED_IMAGES)
    trainer = _Trainer(generator, validation, stream, images, classifiers, images_seen, say)
    return GainMeter(trainer, others, trainer.accuracies("unselected", first))
