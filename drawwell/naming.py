"""What images are called in folders and archives, and which images an archive holds, told by those names."""

import hashlib
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from drawwell.archives import File
from drawwell.latents import CheckedIndices
from drawwell.pictures import Images, to_pngs
from drawwell.wire import INDICES, about

NAME = re.compile(r"(\d{1,19})-(\d{1,19})\.(?:cls|png)", re.ASCII)
"""Seed and index, and whether it is the label or the image."""
_SHA256 = re.compile("[0-9a-f]{64}")


def files_of(seed: int, indices: CheckedIndices, images: Images, labels: npt.NDArray[np.int64] | None) -> list[File]:
    """Each image, of uint8 ``[N, H, W, C]``, as ``SEED-INDEX.png``; before it, where there are labels, ``SEED-INDEX.cls``.

    The label is decimal text. It comes first, so that an archive that was cut off holds an image with all that belongs
    to it as soon as it holds the PNG.
    """
    files = []
    for position, (index, png) in enumerate(zip(indices, to_pngs(images), strict=True)):
        if labels is not None:
            files.append((f"{seed}-{index}.cls", str(labels[position]).encode()))
        files.append((f"{seed}-{index}.png", png))
    return files


def facts_of(digest: str, seed: int, indices: CheckedIndices) -> dict[str, object]:
    """What the record says of the images: digest, seed, count, and ``start`` or, as in a reply's headers, ``indices_sha256``."""
    which = (
        {"start": indices.start} if isinstance(indices, range) else {"indices_sha256": about(seed, indices)[INDICES]}
    )
    return {"digest": digest, "seed": seed, "count": len(indices), **which}


class Addresses:
    """Those of an archive while it is read: one seed, and indices in their order."""

    def __init__(self) -> None:
        self.images = 0
        """Whole ones."""
        self.name = ""
        """Of the file that was last begun."""
        self._seed = self._first = self._index = self._last = -1
        self._in_a_row = True
        self._indices_sha256 = hashlib.sha256()

    def begin(self, name: str) -> None:
        """A file of this name begins. Raises ``ValueError`` for one that is no image of the same seed, nor its label."""
        matched = NAME.fullmatch(name)
        if not matched or (self.name and int(matched[1]) != self._seed):
            raise ValueError("not the name of an image of this seed")
        self._seed, self._index = int(matched[1]), int(matched[2])
        if not self.name:
            self._first = self._index
        self.name = name

    def end(self) -> None:
        """The file that was begun is whole; the image is so with its PNG, which comes last."""
        if self.name.endswith(".png"):
            self._in_a_row &= self._index == self._first + self.images
            self._indices_sha256.update(self._index.to_bytes(8, "little"))
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
        return which and named and (facts.get("seed"), facts.get("count")) == (self._seed, self.images)

    def where(self) -> str:
        """Where the archive was last read, in words."""
        return f"in or after {self.name}" if self.images else "in its first image, or not made by drawwell"

    def whole(self, digest: str) -> str:
        """What a whole archive is, in words."""
        which = f"from index {self._first}" if self._in_a_row else "at chosen indices"
        return f"whole: {counted(self.images)} of seed {self._seed} {which}, generator {digest[:12]}"

    def cut(self) -> str:
        """What is left of an archive that was cut off, and how to get the rest, in words."""
        if not self.images:
            return "cut off in its first image; ask for all of it again"
        rest = (
            f"the rest from index {self._last + 1} on, if it was asked for as a range"
            if self._in_a_row
            else f"those that come after index {self._last}"
        )
        return f"cut off after {counted(self.images, 'whole image')}; ask for {rest}"


def counted(count: int, what: str = "image") -> str:
    """As in "1 image" and "1,500 images"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
