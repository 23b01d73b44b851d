"""The sample sheets of a run, one after another."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from drawwell import atomic_files as files
from drawwell.errors import DrawwellError
from drawwell_train.data import memory

_MOST_FRAMES = 120
"""Of a longer run, evenly chosen: some 15 seconds to look at."""
_FRAME_MS, _LAST_MS = 120, 2000
_CAPTION_PIXELS = 20


def film(sheets: Sequence[Path]) -> bytes:
    """An animated WebP of PNGs in this order, each with its step below; empty where there are none."""
    if not sheets:
        return b""
    frames = [_captioned(sheets[place]) for place in _chosen(len(sheets))]
    for place, frame in zip(_chosen(len(sheets)), frames, strict=True):
        if frame.size != frames[0].size:
            raise DrawwellError(f"{sheets[place]}: is of another size than {sheets[0]}; move it away to see the others")
    durations = [_FRAME_MS] * (len(frames) - 1) + [_LAST_MS]
    webp = io.BytesIO()
    frames[0].save(webp, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=80)
    return webp.getvalue()


def _chosen(count: int) -> list[int]:
    """Places of at most ``_MOST_FRAMES`` sheets, the first and the last among them."""
    frames = min(count, _MOST_FRAMES)
    return [round(frame * (count - 1) / max(frames - 1, 1)) for frame in range(frames)]


def _captioned(sheet: Path) -> Image.Image:
    try:
        with Image.open(io.BytesIO(files.read(sheet, memory.free())), formats=["PNG"]) as image:
            frame = Image.new("RGB", (image.width, image.height + _CAPTION_PIXELS), "white")
            frame.paste(image)
    except Exception as error:  # a decoder raises anything on a bad file; it is told, not swallowed
        raise DrawwellError(f"{sheet}: is no picture; move it away to see the others") from error
    words = f"step {int(sheet.stem.removeprefix('step-')):,}"
    ImageDraw.Draw(frame).text((4, frame.height - _CAPTION_PIXELS), words, "black", ImageFont.load_default(14))
    return frame
