"""Variety within classes: recall (Kynkaanniemi et al. 2019, equation 2) of each class by itself, and its mean over classes.

Recall over all images counts a real image even if the only generated image near it has another label, and one figure for all
hides a class with little variety. Here a real image counts if a generated image *of its own label* has it within reach.
"""

import numpy as np

from drawwell.files.quality import Measure
from drawwell_train.data.classes import LabelArray
from drawwell_train.evaluation.frechet import Features
from drawwell_train.evaluation.manifold import overlap
from drawwell_train.evaluation.part import Part

LEAST_OF_CLASS = 50
"""With fewer images of a class, recall is mostly chance."""

Labelled = tuple[Features, LabelArray]
"""Features ``[N, F]`` and labels int64 ``[N]``."""


def class_recall(real: Labelled, generated: Labelled, floor: Labelled, names: tuple[str, ...]) -> Part:
    """Return ``class_recall`` of generated images, and of ``floor`` in their place, for the classes ``names``.

    Each class takes equally many images of all three. Classes with too few images are left out, with a remark.
    """
    found: dict[str, Measure] = {}
    for label, name in enumerate(names):
        ours, theirs, others = (_of_class(one, label) for one in (real, generated, floor))
        count = min(len(ours), len(theirs), len(others))
        if count >= LEAST_OF_CLASS:
            value, best = (overlap(ours[:count], one[:count]).recall for one in (theirs, others))
            found[name] = Measure(value, best, count)
    left_out = _remark(len(names) - len(found), len(names))
    if not found:
        return Part(remarks=left_out)
    values, floors = ([getattr(one, what) for one in found.values()] for what in ("value", "real"))
    images = sum(one.images for one in found.values())
    mean = Measure(float(np.mean(values)), float(np.mean(floors)), images)
    return Part({"class_recall": mean}, {"class_recall": found}, remarks=left_out)


def _of_class(labelled: Labelled, label: int) -> Features:
    features, labels = labelled
    found: Features = features[labels == label]
    return found


def _remark(few: int, classes: int) -> tuple[str, ...]:
    if not few:
        return ()
    which = "any class" if few == classes else f"{few:,} of {classes:,} classes"
    return (f"variety within {which} is not measured: it needs {LEAST_OF_CLASS} images of a class",)
