"""Pictures that unpack to gigabytes, or that take minutes to decode."""

import io
import struct
import zlib

from PIL import Image


def png_bomb(side: int = 50_000) -> bytes:
    """A PNG of ``side`` x ``side`` pixels, by its header."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = _chunk(b"IDAT", zlib.compress(bytes(10_000)))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + rows + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png_of_chunks(chunks: int) -> bytes:
    """A PNG of one pixel with so many empty text chunks."""
    whole = _encoded(Image.new("L", (1, 1)), "PNG")
    place = whole.index(b"IDAT") - 4
    return whole[:place] + chunks * _chunk(b"tEXt", b"") + whole[place:]


def webp_bomb() -> bytes:
    """A WebP of 16,383 x 16,383 pixels, by its header."""
    pixels = b"\x2f" + (2**28 - 1 - 2**14 - 1).to_bytes(4, "little") + bytes(20)
    body = b"WEBPVP8L" + struct.pack("<I", len(pixels)) + pixels + bytes(len(pixels) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_of_comments(comments: int) -> bytes:
    """A JPEG of one pixel with so many empty comments."""
    whole = _encoded(Image.new("L", (1, 1)), "JPEG")
    return whole[:2] + comments * b"\xff\xfe\x00\x02" + whole[2:]


def jpeg_after_filling(count: int) -> bytes:
    """A JPEG of one pixel after so many fill bytes."""
    whole = _encoded(Image.new("L", (1, 1)), "JPEG")
    return whole[:2] + count * b"\xff" + whole[2:]


def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG of ``side`` x ``side`` grey pixels, whose last scan comes ``scans`` times. Each one passes all blocks."""
    content = _encoded(Image.new("L", (side, side), 90), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + scans * content[last:-2] + content[-2:]


def _encoded(picture: Image.Image, kind: str, **options: bool) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()
