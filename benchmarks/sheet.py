"""docs/sheet.png, which the README shows: the first images of seed 7 of the bundled generator, a class a row."""

import numpy as np

import drawwell
from benchmarks.table import README
from drawwell.pictures import Images, contact_sheet, to_png

FILE = README.with_name("docs") / "sheet.png"
_SEED, _OF_EACH_CLASS = 7, 10


def main() -> None:
    FILE.write_bytes(to_png(sheet()))


def sheet() -> Images:
    """Drawn anew, uint8 ``[H', W', C]``."""
    generator = drawwell.open("fashion", provider="cpu")
    labels = np.arange(len(generator.card.class_names)).repeat(_OF_EACH_CLASS)
    return contact_sheet(generator.generate(_SEED, len(labels), labels=labels).images, _OF_EACH_CLASS)


if __name__ == "__main__":
    main()
