"""The part of a certificate that a model card holds."""

from dataclasses import dataclass
from typing import Annotated

import msgspec

MAX_ROWS = 64
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
_Rate = Annotated[float, msgspec.Meta(ge=-1, le=1)]


@dataclass(frozen=True)
class Accuracy:
    """Mean and sample standard deviation over classifier seeds, of the accuracy on the test images, in [0, 1]."""

    mean: _Rate
    spread: _Rate

    def __str__(self) -> str:
        return f"{100 * self.mean:.2f} ± {100 * self.spread:.2f} %"


@dataclass(frozen=True)
class Uplift:
    """The accuracies at one share of the real images. ``drawn_share`` of every batch of real + drawn was drawn.

    The second architecture is the one that ``Certified.second_architecture`` names. Earlier versions did not measure it in every row.
    """

    share: Share
    real_images: Positive
    real: Accuracy
    both: Accuracy
    drawn_share: Share
    helps: bool
    """Whether real + drawn is above real only by more than 2.8 standard errors of the difference, and the second architecture gains."""
    worst_class: str
    """The class in which real + drawn loses most, or gains least."""
    worst_class_gain: _Rate
    second_real: Accuracy | None = None
    second_both: Accuracy | None = None

    def in_words(self) -> str:
        """Return whether drawn images help, and by how much: both are equally loud."""
        gain = 100 * (self.both.mean - self.real.mean)
        said = "DRAWN IMAGES HELP" if self.helps else "DRAWN IMAGES DO NOT HELP"
        row = f"{100 * self.share:g} % of the real images ({self.real_images:,})"
        return f"{said} at {row}: {gain:+.2f} points{self._second_in_words()}."

    def _second_in_words(self) -> str:
        if self.second_real is None or self.second_both is None:
            return ""
        return f", and {100 * (self.second_both.mean - self.second_real.mean):+.2f} with the second architecture"


@dataclass(frozen=True)
class Certified:
    """The result of ``drawwell certify`` for the first images of a seed.

    ``data`` and ``test`` are the names of the real images. ``worth`` says how many of them the drawn images replace. Fields that are None
    are of a certificate of an earlier version.
    """

    data: str
    test: str
    generator_saw: str
    worth: str
    drawn: Accuracy
    rows: Annotated[tuple[Uplift, ...], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]
    classifiers: Positive
    """Of each kind: accuracies are their mean and standard deviation."""
    images_seen: Positive
    """By each classifier, repeats included."""
    test_images: Positive
    second_architecture: str = ""
    """It chose nothing: the mixing ratio of each row is the first architecture's choice."""
    second_drawn: Accuracy | None = None
    copying: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """Chance is 0.5."""
    worth_images: Positive | None = None
    """Real images that the drawn ones are worth. None outside of the curve of real images, too."""
    data_sha256: str = ""
    test_sha256: str = ""

    def in_words(self) -> dict[str, str]:
        """The rows of a table for people, by their headings."""
        measured = (
            f"accuracy on {self.test_images:,} images of {self.test}, mean ± standard deviation of {self.classifiers} classifiers, "
            f"each of which saw {self.images_seen:,} images"
        )
        real = "; ".join(
            f"{row.real} with {row.real_images:,} real images, {row.both} with drawn ones beside them"
            for row in self.rows
        )
        words = {
            "Certificate": f"real images of {self.data}. {self.generator_saw} {self.worth}",
            "Help in training": " ".join(row.in_words() for row in self.rows),
            "Accuracies": f"{self.drawn} with drawn images only; {real} ({measured})",
        }
        if self.second_architecture:
            words["Second architecture"] = f"{self.second_architecture}, which chose nothing"
        return words
