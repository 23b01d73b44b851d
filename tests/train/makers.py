"""Pictures for tests of data."""

from pathlib import Path

import numpy as np
from PIL import Image

_NOISE = np.random.default_rng(0)


def picture(path: Path, side: int = 28, mode: str = "RGB") -> Path:
    """Write a picture of noise, in the format of its ending, and return where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = _NOISE.integers(0, 256, (side, side, 3)).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def pictures(folder: Path, *names: str) -> Path:
    """Several, in a folder, which is returned."""
    for name in names:
        picture(folder / name)
    return folder
