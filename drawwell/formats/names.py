"""What images are called in folders and archives, and which images an archive holds, told by those names."""

import hashlib
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from drawwell.addresses.arguments import CheckedIndices, sha256
from drawwell.files.labels import CheckedLabels
from drawwell.formats.archives import File
from drawwell.formats.png import to_pngs
from drawwell.generator import Images

NAME = re.compile(r"(\d{1,19})-(\d{1,19})(?:-(\d{1,19}))?\.(?:cls|png)", re.ASCII)
"""Seed and index, the label where it was chosen, and whether the file is the label or the image."""
_SHA256 = re.compile("[0-9a-f]{64}")


def files_of(
    seed: int, indices: CheckedIndices, images: Images, labels: npt.NDArray[np.int64] | None, chosen: bool = False
) -> list[File]:
    """Each image, of uint8 ``[N, H, W, C]``, as ``SEED-INDEX.png``; before it, where there are labels, ``SEED-INDEX.cls``.

    Labels that were ``chosen``, and so are not those of the addresses, belong to the name: ``SEED-INDEX-LABEL``. The label
    is decimal text. It comes first, so that an archive that was cut off holds an image with all that belongs to it as
    soon as it holds the PNG.
    """
    files = []
    for position, (index, png) in enumerate(zip(indices, to_pngs(images), strict=True)):
        name = f"{seed}-{index}"
        if labels is not None:
            name += f"-{labels[position]}" if chosen else ""
            files.append((f"{name}.cls", str(labels[position]).encode()))
        files.append((f"{name}.png", png))
    return files


def facts_of(digest: str, seed: int, indices: CheckedIndices, labels: CheckedLabels | None = None) -> dict[str, object]:
    """What the record says of the images: digest, seed, count, and ``start`` or, as in a reply's headers, ``indices_sha256``;

    of chosen labels ``label``, the one of all, or ``labels_sha256``.
    """
    facts: dict[str, object] = {"digest": digest, "seed": seed, "count": len(indices)}
    facts |= {"start": indices.start} if isinstance(indices, range) else {"indices_sha256": sha256(indices)}
    if labels is not None:
        facts |= {"labels_sha256": sha256(labels)} if isinstance(labels, np.ndarray) else {"label": labels}
    return facts


class Addresses:
    """Those of an archive while it is read: one seed, indices in their order, and the labels where these were chosen."""

    def __init__(self) -> None:
        self.images = 0
        """Whole ones."""
        self.name = ""
        """Of the file that was last begun."""
        self._seed = self._first = self._index = self._last = -1
        self._label: int | None = None
        """Of the image that was last begun; None where the labels are those of the addresses."""
        self._in_a_row = self._one_label = True
        self._indices_sha256, self._labels_sha256 = hashlib.sha256(), hashlib.sha256()

    def begin(self, name: str) -> None:
        """A file of this name begins. Raises ``ValueError`` for one that is no image of the same seed, nor its label."""
        matched = NAME.fullmatch(name)
        if not matched:
            raise ValueError("not the name of an image")
        seed, index, label = int(matched[1]), int(matched[2]), None if matched[3] is None else int(matched[3])
        if not self.name:
            self._seed, self._first = seed, index
        elif (seed, label is None) != (self._seed, self._label is None):
            raise ValueError("not the name of an image of this seed")
        else:
            self._one_label &= label == self._label
        self._index, self._label, self.name = index, label, name

    def end(self) -> None:
        """The file that was begun is whole; the image is so with its PNG, which comes last."""
        if self.name.endswith(".png"):
            self._in_a_row &= self._index == self._first + self.images
            self._indices_sha256.update(self._index.to_bytes(8, "little"))
            if self._label is not None:
                self._labels_sha256.update(self._label.to_bytes(8, "little"))
            self.images += 1
            self._last = self._index

    def agree_with(self, facts: Mapping[str, object]) -> bool:
        """Whether these are the images that a record tells of, as ``facts_of`` writes it."""
        which = (
            facts["start"] == self._first and self._in_a_row
            if "start" in facts
            else facts.get("indices_sha256") == self._indices_sha256.hexdigest()
        )
        named = bool(_SHA256.fullmatch(str(facts.get("digest"))))
        counts = (facts.get("seed"), facts.get("count")) == (self._seed, self.images)
        return which and named and counts and self._agree_on_labels(facts)

    def _agree_on_labels(self, facts: Mapping[str, object]) -> bool:
        if self._label is None:
            return not facts.keys() & {"label", "labels_sha256"}
        if "label" in facts:
            return facts["label"] == self._label and self._one_label
        return facts.get("labels_sha256") == self._labels_sha256.hexdigest()

    def where(self) -> str:
        """Where the archive was last read, in words."""
        return f"in or after {self.name}" if self.images else "in its first image, or not made by drawwell"

    def whole(self, digest: str) -> str:
        """What a whole archive is, in words."""
        which = f"from index {self._first}" if self._in_a_row else "at chosen indices"
        return (
            f"whole: {counted(self.images)} of seed {self._seed} {which}{self._with_labels()}, generator {digest[:12]}"
        )

    def cut(self) -> str:
        """What is left of an archive that was cut off, and how to get the rest, in words."""
        if not self.images:
            return "cut off in its first image; ask for all of it again"
        labels = self._with_labels()
        rest = (
            f"the rest from index {self._last + 1} on{labels}, if it was asked for as a range"
            if self._in_a_row
            else f"those that come after index {self._last}{labels}"
        )
        return f"cut off after {counted(self.images, 'whole image')}; ask for {rest}"

    def _with_labels(self) -> str:
        if self._label is None:
            return ""
        return f" with label {self._label}" if self._one_label else " with chosen labels"


def counted(count: int, what: str = "image") -> str:
    """As in "1 image" and "1,500 images"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
