"""docs/sheet.png, which the README shows: the first images of seed 7 of the bundled generator, a class a row."""

import numpy as np

import drawwell
from benchmarks.pages import ROOT
from drawwell.formats.png import contact_sheet, to_png
from drawwell.generator import Images
from drawwell_train.data.classes import LabelArray
from drawwell_train.evaluation.source import Draw

FILE = ROOT / "docs" / "sheet.png"
_SEED, _OF_EACH_CLASS, _WITHOUT_CLASSES = 7, 10, 64


def main() -> None:
    FILE.write_bytes(to_png(sheet()))


def sheet() -> Images:
    """Drawn anew, uint8 ``[H', W', C]``."""
    generator = drawwell.open("fashion", provider="cpu")

    def draw(seed: int, indices: range, labels: LabelArray | None) -> Images:
        return generator.generate(seed, indices=indices, labels=labels).images

    return lay_out(draw, len(generator.card.class_names))


def lay_out(draw: Draw, classes: int) -> Images:
    """The first images of seed 7, uint8 ``[H', W', C]``: ten of each class, a class a row; without classes 64."""
    if not classes:
        return contact_sheet(draw(_SEED, range(_WITHOUT_CLASSES), None))
    labels = np.arange(classes).repeat(_OF_EACH_CLASS)
    return contact_sheet(draw(_SEED, range(len(labels)), labels), _OF_EACH_CLASS)


if __name__ == "__main__":
    main()
