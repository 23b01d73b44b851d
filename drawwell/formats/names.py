"""The names of images in folders and archives, and the images that an archive holds, by its names."""

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
"""Groups: seed, index, and the label if it was chosen."""
_SHA256 = re.compile("[0-9a-f]{64}")


def files_of(
    seed: int, indices: CheckedIndices, images: Images, labels: npt.NDArray[np.int64] | None, chosen: bool = False
) -> list[File]:
    """Return each image, uint8 ``[N, H, W, C]``, as ``SEED-INDEX.png``; if there are labels, ``SEED-INDEX.cls`` before it.

    ``chosen`` labels do not follow from the address, and so belong to the name: ``SEED-INDEX-LABEL``. The .cls file holds the
    label as decimal text. It comes first, so that an archive that was cut off after a PNG holds the whole image.
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
    """Return the facts in the record of an archive: digest, seed, count, and ``start`` or ``indices_sha256``.

    If labels were chosen, the record also has ``label``, the one of all images, or ``labels_sha256``.
    """
    facts: dict[str, object] = {"digest": digest, "seed": seed, "count": len(indices)}
    facts |= {"start": indices.start} if isinstance(indices, range) else {"indices_sha256": sha256(indices)}
    if labels is not None:
        facts |= {"labels_sha256": sha256(labels)} if isinstance(labels, np.ndarray) else {"label": labels}
    return facts


class Addresses:
    """The addresses of an archive while it is read: one seed, the indices in their order, and the labels if they were chosen."""

    def __init__(self) -> None:
        self.images = 0
        """Whole images so far."""
        self.name = ""
        """The name of the last file that was begun."""
        self._seed = self._first = self._index = self._last = -1
        self._label: int | None = None
        """The label of the last image that was begun; None if the labels follow from the addresses."""
        self._in_a_row = self._one_label = True
        self._indices_sha256, self._labels_sha256 = hashlib.sha256(), hashlib.sha256()

    def begin(self, name: str) -> None:
        """Begin a file of this name. Raises ``ValueError`` unless it is an image of the same seed, or its label."""
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
        """End the file: it is whole. With its PNG, which comes last, the image is whole."""
        if self.name.endswith(".png"):
            self._in_a_row &= self._index == self._first + self.images
            self._indices_sha256.update(self._index.to_bytes(8, "little"))
            if self._label is not None:
                self._labels_sha256.update(self._label.to_bytes(8, "little"))
            self.images += 1
            self._last = self._index

    def agree_with(self, facts: Mapping[str, object]) -> bool:
        """Return whether these are the images of a record that ``facts_of`` wrote."""
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
        """Return the place up to which the archive was read, in words."""
        return f"in or after {self.name}" if self.images else "in its first image, or not made by drawwell"

    def whole(self, digest: str) -> str:
        """Return what a whole archive holds, in words."""
        which = f"from index {self._first}" if self._in_a_row else "at chosen indices"
        return (
            f"whole: {counted(self.images)} of seed {self._seed} {which}{self._with_labels()}, generator {digest[:12]}"
        )

    def cut(self) -> str:
        """Return what an archive that was cut off still holds, and how to get the rest, in words."""
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
    """Return a count with its noun: "1 image", "1,500 images"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
