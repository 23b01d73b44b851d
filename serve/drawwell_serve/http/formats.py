"""The formats of a reply with images. Each is listed once, in ``FORMATS``."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from drawwell.engine.engine import Engine
from drawwell.formats.archives import Archive, Chunk, Tar, Zip
from drawwell.formats.names import facts_of, files_of
from drawwell.formats.npy import NPY_TYPE, Npy
from drawwell.formats.png import contact_sheet, to_png, to_pngs
from drawwell.generator import Images
from drawwell.image_request import ImageRequest
from drawwell_serve.errors import ApiError

MAX_PICTURES = 256
"""Images in one JSON reply or on one contact sheet. Both are for people, and are built in memory as a whole."""

NPY_PLAIN_TYPE = f"{NPY_TYPE};footer=no"
"""For readers that take everything after the header for pixels, for example npyjs."""


class ReplyFormat(ABC):
    """The body of one reply while it is made.

    Args:
        request: The images.
        engine: Draws them; names the generator.
    """

    media_type: ClassVar[str]
    max_images: ClassVar[int | None] = None
    needs_addresses: ClassVar[bool] = False

    def __init__(self, request: ImageRequest, engine: Engine) -> None:
        self.request, self.engine = request, engine

    @classmethod
    def check(cls, request: ImageRequest) -> None:
        """Raise ``ApiError`` 400 for a request that the format cannot hold."""
        if cls.max_images is not None and len(request) > cls.max_images:
            raise _too_many(request, cls.max_images)
        if cls.needs_addresses and (request.seed is None or request.scale.factor != 1):
            message = f"an archive names its images by address, and these images have none: send Accept: {NPY_TYPE}"
            raise ApiError(400, "no_address", message)

    @abstractmethod
    def whole(self, images: Images) -> bytes:
        """Return the whole body of all images, uint8 ``[N, H, W, C]``. Called on a thread that is not the event loop's."""


class StreamFormat(ReplyFormat):
    """A body of any length: what ``append`` returns for each piece, in order, and then the parts of ``end``."""

    @abstractmethod
    def encode(self, images: Images, first: int) -> Any:
        """Encode the images from position ``first`` on, on a drawing thread, whatever comes before them."""

    @abstractmethod
    def append(self, encoded: Any) -> bytes:
        """Return the bytes of the next piece."""

    @abstractmethod
    def end(self) -> Iterator[bytes]:
        """Yield the bytes that follow the last piece."""

    def length(self) -> int | None:
        """The length of the body in bytes, or None if only drawing tells."""
        return None


class JsonFormat(ReplyFormat):
    """The images as base64 PNGs, with their addresses and labels."""

    media_type = "application/json"
    max_images = MAX_PICTURES

    def whole(self, images: Images) -> bytes:
        request, count = self.request, len(images)
        address = {} if request.seed is None else {"seed": request.seed}
        labels = request.labels_of(self.engine.card)
        labelled = [{}] * count if labels is None else [{"label": label} for label in labels.tolist()]
        listed = [
            {"index": int(index), **label, "png": base64.b64encode(png).decode()}
            for index, label, png in zip(request.indices, labelled, to_pngs(images), strict=True)
        ]
        return msgspec.json.encode({"digest": self.engine.digest, **address, "count": count, "images": listed})


class PngFormat(ReplyFormat):
    """A single image, or a contact sheet of all images."""

    media_type = "image/png"
    max_images = MAX_PICTURES

    def whole(self, images: Images) -> bytes:
        return to_png(images[0] if len(images) == 1 else contact_sheet(images))


class NpyFormat(StreamFormat):
    """An npy file, uint8 ``[N, H, W, C]``, and a footer with the SHA-256 of the pixels."""

    media_type = NPY_TYPE
    has_footer: ClassVar[bool] = True

    def __init__(self, request: ImageRequest, engine: Engine) -> None:
        super().__init__(request, engine)
        self._npy = Npy((len(request), *engine.card.image_shape), self.has_footer)
        self._header = self._npy.header

    def whole(self, images: Images) -> bytes:
        return Npy.encode(images, self.has_footer)

    def encode(self, images: Images, first: int) -> bytes:  # noqa: ARG002 - pixels do not depend on their position
        return images.tobytes()

    def append(self, encoded: bytes) -> bytes:
        # the checksum is of all pixels in order, so it cannot be made where pieces are drawn side by side
        header, self._header = self._header, b""
        return header + self._npy.append(encoded)

    def end(self) -> Iterator[bytes]:
        if self.has_footer:
            yield self._npy.end()

    def length(self) -> int:
        return self._npy.length


class PlainNpyFormat(NpyFormat):
    """An npy file without a footer."""

    media_type = NPY_PLAIN_TYPE
    has_footer = False


class ArchiveFormat(StreamFormat):
    """An archive of PNGs that are named by address. The record of the archive is its last file."""

    needs_addresses = True
    archive: ClassVar[type[Archive]]

    def __init__(self, request: ImageRequest, engine: Engine) -> None:
        super().__init__(request, engine)
        assert request.seed is not None, "check refuses images without an address"
        self._seed, self._archive = request.seed, self.archive()

    def whole(self, images: Images) -> bytes:
        return b"".join([self.append(self.encode(images, 0)), *self.end()])

    def encode(self, images: Images, first: int) -> Chunk:
        part = self.request.part(slice(first, first + len(images)))
        labels, chosen = part.labels_of(self.engine.card), part.labels is not None
        return self.archive.chunk(files_of(self._seed, part.indices, images, labels, chosen))

    def append(self, encoded: Chunk) -> bytes:
        return self._archive.append(encoded)

    def end(self) -> Iterator[bytes]:
        facts = facts_of(self.engine.digest, self._seed, self.request.indices, self.request.labels)
        return self._archive.end(facts)


class ZipFormat(ArchiveFormat):
    """A zip file."""

    media_type, archive = Zip.media_type, Zip


class TarFormat(ArchiveFormat):
    """A tar file, which is a WebDataset shard too."""

    media_type, archive = Tar.media_type, Tar


def _too_many(request: ImageRequest, most: int) -> ApiError:
    streams = ", ".join(name for name, format_ in FORMATS.items() if issubclass(format_, StreamFormat))
    field = "count" if isinstance(request.indices, range) else "indices"
    message = f"JSON and PNG hold at most {most} images, and {len(request):,} were requested: send Accept: {streams}"
    return ApiError(400, "too_many_for_this_form", message, field)


FORMATS: dict[str, type[ReplyFormat]] = {
    one.media_type: one for one in (JsonFormat, PngFormat, NpyFormat, PlainNpyFormat, ZipFormat, TarFormat)
}
"""By media type. The first is the default."""
