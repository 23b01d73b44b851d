"""PNG and contact sheets."""

import io

import numpy as np
import pytest
from PIL import Image

from drawwell.formats.png import contact_sheet, to_png, to_pngs


def test_a_batch_is_encoded_as_each_alone() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3)).astype(np.uint8)
    assert to_pngs(images) == [to_png(image) for image in images]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_pixels(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    with Image.open(io.BytesIO(to_png(image))) as picture:
        np.testing.assert_array_equal(np.asarray(picture).reshape(image.shape), image)


@pytest.mark.parametrize(
    ("count", "columns", "shape"), [(1, None, (8, 10)), (5, None, (14, 26)), (5, 5, (8, 42)), (3, 9, (8, 26))]
)
def test_a_sheet_has_every_image_in_reading_order(count: int, columns: int | None, shape: tuple[int, int]) -> None:
    images = np.stack([np.full((4, 6, 1), level, np.uint8) for level in range(count)])
    sheet = contact_sheet(images, columns)
    assert sheet.shape[:2] == shape
    seen = [int(level) for level in dict.fromkeys(sheet[sheet != 255].tolist())]
    assert seen == list(range(count))
