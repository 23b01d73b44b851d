"""An animation of the sample sheets of a run."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from drawwell import atomic_files as files
from drawwell.errors import DrawwellError
from drawwell_train.data import memory

_MAX_FRAMES = 120
"""A longer run is sampled evenly: 120 frames take about 15 seconds."""
_FRAME_MS, _LAST_FRAME_MS = 120, 2000
_CAPTION_PIXELS = 20


def film(sheets: Sequence[Path]) -> bytes:
    """Return an animated WebP of ``sheets``, PNG files, in their order, each with its step below; empty bytes without sheets.

    Raises ``DrawwellError`` for a sheet that is no picture or differs in size.
    """
    if not sheets:
        return b""
    frames = [_captioned(sheets[place]) for place in _chosen(len(sheets))]
    for place, frame in zip(_chosen(len(sheets)), frames, strict=True):
        if frame.size != frames[0].size:
            raise DrawwellError(f"{sheets[place]}: has another size than {sheets[0]}; move it away to see the others")
    durations = [_FRAME_MS] * (len(frames) - 1) + [_LAST_FRAME_MS]
    webp = io.BytesIO()
    frames[0].save(webp, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=80)
    return webp.getvalue()


def _chosen(count: int) -> list[int]:
    """Positions of at most ``_MAX_FRAMES`` sheets, the first and the last included."""
    frames = min(count, _MAX_FRAMES)
    return [round(frame * (count - 1) / max(frames - 1, 1)) for frame in range(frames)]


def _captioned(sheet: Path) -> Image.Image:
    try:
        with Image.open(io.BytesIO(files.read(sheet, memory.free())), formats=["PNG"]) as image:
            frame = Image.new("RGB", (image.width, image.height + _CAPTION_PIXELS), "white")
            frame.paste(image)
    except Exception as error:  # a decoder can raise any exception on a damaged file
        raise DrawwellError(f"{sheet}: is no picture; move it away to see the others") from error
    words = f"step {int(sheet.stem.removeprefix('step-')):,}"
    ImageDraw.Draw(frame).text((4, frame.height - _CAPTION_PIXELS), words, "black", ImageFont.load_default(14))
    return frame
