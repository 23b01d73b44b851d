"""What a selection gains: GAN-train (Shmelkov et al. 2018) with the chosen addresses and with the first ones of each class."""

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


class GainMeter:
    """Measures selections of one generator. Unselected images are the first addresses of each class, as many as the budget.

    A class without a budget would be unknown to the classifiers, so both kinds also train on unselected images of it.
    """

    def __init__(
        self,
        generator: ImageGenerator,
        validation: ImageData,
        stream: Stream,
        budgets: Budgets,
        classifiers: int,
        images_seen: int,
        say: Say,
    ) -> None:
        self._generator, self._validation, self._stream = generator, validation, stream
        self._classifiers, self._images_seen, self._say = classifiers, images_seen, say
        filled = np.where(budgets > 0, budgets, budgets.max())
        first = first_of_each_class(generator.card, stream, filled)
        self._others = first_of_each_class(generator.card, stream, filled * (budgets == 0))
        self._images = min(len(first), MEASURED_IMAGES)
        self.unselected = self._accuracies("unselected", first)
        """Accuracies of the classifiers of unselected images, float64 ``[classifiers]``."""

    def measure(self, indices: IndexArray) -> GainRecord:
        """Train a classifier for each seed on the chosen ``indices``, and compare it with the unselected one of the same seed."""
        selected = self._accuracies("selected", np.union1d(indices, self._others))
        differences = selected - self.unselected
        deviation = float(differences.std(ddof=1)) if len(differences) > 1 else None
        means = float(selected.mean()), float(self.unselected.mean())
        return GainRecord(*means, deviation, self._classifiers, self._images, self._images_seen)

    def _accuracies(self, what: str, indices: IndexArray) -> Accuracies:
        chance = np.random.default_rng(_SEED)
        indices = np.sort(chance.choice(indices, self._images, replace=False))
        pixels = int(np.prod(self._generator.card.image_shape))
        check_memory(len(indices) * pixels, f"{len(indices):,} images to measure the selection with")
        batch = self._stream.draw(self._generator, indices)
        assert batch.labels is not None and self._validation.labels is not None, "budgets are of classes"
        found = []
        for seed in range(self._classifiers):
            self._say(f"training classifier {seed + 1} of {self._classifiers} on {len(indices):,} {what} images")
            classes = len(self._generator.card.class_names)
            classifier = Classifier(batch.images.shape[-1], classes, seed, self._images_seen)
            classifier.learn(batch.images, batch.labels)
            found.append(classifier.accuracy(self._validation.images, self._validation.labels))
        return np.array(found)
