"""Bounds of the work that a picture's file asks for before its size is known, or beyond its size."""

from PIL.JpegImagePlugin import MARKER

from drawwell.errors import PictureError

MAX_SCANS = 64
"""The most scans of a JPEG. Each one passes all blocks of the picture. Encoders write about 10."""
MAX_SEGMENTS = 1000
"""The most segments before the first scan of a JPEG, counting bytes between them. Pillow reads each one in Python."""
MAX_CHUNKS = 2**14
"""The most chunks of a PNG. Encoders write chunks of 8 KiB and more. Pillow reads each one in Python."""

_PNG_BEGINNING, _JPEG_BEGINNING = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_START_OF_SCAN = b"\xff\xda"


def check_work(content: bytes) -> None:
    """Raise ``PictureError`` with a clause for a file that would take seconds to decode whatever its size in pixels."""
    if content.startswith(_PNG_BEGINNING):
        _check_png(content)
    elif content.startswith(_JPEG_BEGINNING):
        _check_jpeg(content)


def _check_png(content: bytes) -> None:
    place = len(_PNG_BEGINNING)
    for _ in range(MAX_CHUNKS):
        if place >= len(content):
            return
        place += 12 + int.from_bytes(content[place : place + 4], "big")  # length, name, data, checksum
    raise PictureError(f"has more than {MAX_CHUNKS:,} chunks: save it again")


def _check_jpeg(content: bytes) -> None:
    place = len(_JPEG_BEGINNING) - 1
    for _ in range(MAX_SEGMENTS):
        if place >= len(content) or content.startswith(_START_OF_SCAN, place):
            break
        place += _segment_bytes(content, place)
    else:
        raise PictureError(f"has more than {MAX_SEGMENTS:,} segments before its pixels: save it again")
    # a byte ff of compressed data is followed by a zero, so from here on these are markers
    if (scans := content.count(_START_OF_SCAN, place)) > MAX_SCANS:
        raise PictureError(f"has {scans:,} scans, and {MAX_SCANS} are decoded: save it again")


def _segment_bytes(content: bytes, place: int) -> int:
    """The bytes that Pillow passes at once."""
    marker = int.from_bytes(content[place : place + 2], "big")
    if marker >> 8 != 0xFF or marker == 0xFFFF:
        return 1
    if marker not in MARKER or MARKER[marker][2] is None:
        return 2
    return 2 + max(2, int.from_bytes(content[place + 2 : place + 4], "big"))
