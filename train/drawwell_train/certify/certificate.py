"""The certificate: what was measured, on what, and in words for people. ``certificate.json`` holds one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from drawwell import atomic_files as files
from drawwell.errors import DrawwellError
from drawwell.files.card import Count, Positive, Sha256
from drawwell.files.card_json import UNREADABLE
from drawwell.files.certified import Accuracy, Certified, Share, Uplift

VERSION = 1
_MAX_BYTES = 2**24


class CertificateError(DrawwellError):
    """The certificate cannot be read, or its inputs are others now; the message says which."""


@dataclass(frozen=True)
class Inputs:
    """SHA-256 of what was used. ``selection`` is empty for the addresses 0 to ``images`` - 1 of ``seed``."""

    generator: Sha256
    data: Sha256
    test: Sha256
    selection: str
    seed: Count
    images: Positive
    drawn_pixels: Sha256
    """Of the drawn images and their labels."""
    generator_data: tuple[str, ...] = ()
    """Of the real images that each generator of a mixture learned from; an empty text where it is not known."""
    gate_data: str = ""
    """Of the real images that the classifier learned from which selected; empty without a selection."""


@dataclass(frozen=True)
class Options:
    """How the command was called: the paths as they were given, and the values that the protocol depends on."""

    generator: str
    data: str
    test: str
    selection: str | None
    shares: tuple[Share, ...]
    ratios: tuple[Share, ...]
    seeds: Positive
    images_seen: Positive
    seed: Count
    images: Positive
    flip: bool
    resize: bool
    more: tuple[str, ...] = ()
    """The other runs of a mixture."""


@dataclass(frozen=True)
class Certificate:
    """What drawn images are worth for the training of a classifier. ``read`` and ``write`` keep one in a file."""

    generator_saw: str
    """Which real images the generator saw: the first line."""
    verdict: str
    worth: str
    drawn: Accuracy
    """Of classifiers that saw drawn images only."""
    rows: Annotated[tuple[Uplift, ...], msgspec.Meta(min_length=1)]
    copying: float
    """Chance is 0.5: see ``evaluation.neighbours.copying``."""
    test_images: Positive
    overlap: Count
    """Number of test images whose pixels are a training image's."""
    augmentation: str
    configurations: Positive
    """Mixing ratios that were tried, over all shares."""
    classes: tuple[str, ...]
    inputs: Inputs
    options: Options
    machine: str
    worth_images: Positive | None = None
    """Real images that the drawn ones are worth; None outside of the curve of real images."""
    kept: Count = 0
    """Classifiers that were there before and were not trained for this certificate."""
    version: int = VERSION
    second_architecture: str = ""
    second_drawn: Accuracy | None = None
    """Of classifiers of the second architecture that saw drawn images only."""

    def for_card(self) -> Certified:
        """Return the part that the card of the generator holds."""
        return Certified(
            data=Path(self.options.data).name,
            test=Path(self.options.test).name,
            generator_saw=self.generator_saw,
            worth=self.worth,
            drawn=self.drawn,
            rows=self.rows,
            classifiers=self.options.seeds,
            images_seen=self.options.images_seen,
            test_images=self.test_images,
            second_architecture=self.second_architecture,
            second_drawn=self.second_drawn,
            copying=self.copying,
            worth_images=self.worth_images,
            data_sha256=self.inputs.data,
            test_sha256=self.inputs.test,
        )

    def in_words(self) -> str:
        """Return the certificate as text for people, of several lines."""
        first = _table((row, row.real, self.drawn, row.both) for row in self.rows)
        second = _table((row, row.second_real, self.second_drawn, row.second_both) for row in self.rows)
        chose_nothing = ["", f"The second architecture, {self.second_architecture}, chose nothing:", *second]
        said = ["", self.verdict, self.worth, *self._beside()]
        return "\n".join([self.generator_saw, "", *first, *(chose_nothing if self.second_drawn else ()), *said])

    def _beside(self) -> list[str]:
        last, inputs = self.rows[-1], self.inputs
        addresses = (
            f"selection {inputs.selection}"
            if inputs.selection
            else f"seed {inputs.seed}, indices 0 to {inputs.images - 1}"
        )
        return [
            f"Worst class at {100 * last.share:g} %: {last.worst_class}, {100 * last.worst_class_gain:+.2f} points.",
            f"Copying: {100 * self.copying:.0f} % (chance: 50 %).",
            f"Accuracy on {self.test_images:,} test images, mean ± standard deviation over {self.options.seeds} classifier seeds; "
            f"{self.options.images_seen:,} images seen by each; augmentation: {self.augmentation}.",
            f"{self.configurations} mixing ratios were tried on a validation part of the training images. The test chose nothing.",
            f"Drawn: {inputs.images:,} images, {addresses}, generator {inputs.generator}.",
        ]


def _table(rows: Iterable[tuple[Uplift, Accuracy | None, Accuracy | None, Accuracy | None]]) -> list[str]:
    """Lines of a table: each row has its accuracies with real images only, drawn images only, and both."""
    heading = f"{'real images':>20}  {'real only':>16}  {'drawn only':>16}  {'real + drawn':>16}  drawn in a batch"
    return [heading, *(_line(row, accuracies) for row, *accuracies in rows)]


def _line(row: Uplift, accuracies: Sequence[Accuracy | None]) -> str:
    real = f"{row.real_images:,} ({100 * row.share:g} %)"
    return f"{real:>20}  {'  '.join(f'{one!s:>16}' for one in accuracies)}  {row.drawn_share:.0%}"


def write(file: Path, certificate: Certificate) -> None:
    """Write a certificate as JSON. Raises ``WriteError``."""
    files.write(file, msgspec.json.format(msgspec.json.encode(certificate), indent=2) + b"\n")


def read(file: Path) -> Certificate:
    """Return the certificate in ``file``. Raises ``CertificateError`` for a file that holds none, or one of another version."""
    try:
        found = msgspec.json.decode(files.read(file, _MAX_BYTES), type=Certificate)
    except OSError as error:
        raise CertificateError(f"{file}: cannot be read ({error.strerror})") from error
    except UNREADABLE as error:
        raise CertificateError(f"{file}: holds no certificate ({error})") from error
    if found.version != VERSION:
        raise CertificateError(
            f"{file}: is of version {found.version}, and this drawwell reads {VERSION}: use the drawwell that wrote it"
        )
    return found
