"""labels.csv gives pictures their classes, or says which line is wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawwell_train.data.dataset import load
from drawwell_train.data.images import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.png", "b.png", "more/c.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((28, 28), 80 * number, np.uint8)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("heading", ["", "file,class\n", "File, CLASS\n"])
def test_every_picture_gets_its_class(folder: Path, heading: str) -> None:
    (folder / "labels.csv").write_text(f'{heading}more/c.png,dog\n"b.png","cat, small"\na.png,dog\n')
    data = load(str(folder), 28, 1)
    assert data.class_names == ("cat, small", "dog")
    assert data.labels is not None and data.labels.tolist() == [1, 0, 1]
    assert data.images[:, 0, 0, 0].tolist() == [0, 80, 160]


def test_spaces_around_names_mean_nothing(folder: Path) -> None:
    (folder / "labels.csv").write_text('file, class\nmore/c.png,  dog\n./b.png, "cat, small"\n a.png ,dog \n')
    data = load(str(folder), 28, 1)
    assert data.class_names == ("cat, small", "dog")
    assert data.labels is not None and data.labels.tolist() == [1, 0, 1]


def test_composed_and_decomposed_letters_are_the_same(folder: Path) -> None:
    (folder / "a.png").rename(folder / "e\N{COMBINING ACUTE ACCENT}.png")
    (folder / "labels.csv").write_text("é.png,caf\u00e9\nb.png,cafe\u0301\nmore/c.png,x\n")
    assert load(str(folder), 28, 1).class_names == ("café", "x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.png,x\nb.png,y\n", "no class for 'more/c.png'"),
        ("a.png,x\nb.png,y\nmore/c.png,y\nd.png,y\n", "not pictures in .*'d.png'"),
        ("a.png,x\nb.png,y\nmore/c.png,y\n../e.png,y\n", "not pictures in"),
        ("a.png,x\nb.png,y\nmore/c.png,y\n/somewhere/a.png,y\n", "not pictures in .*'/somewhere/a.png'"),
        ("a.png,x\nb.png\n", "line 2 must hold"),
        ("a.png,x\nb.png, \n", "line 2 must hold"),
        ("a.png,x\na.png,y\n", "line 2 gives 'a.png' a different class"),
        ('a.png,"x\n', "is not CSV"),
        ("a.png,\xff", "is not CSV"),
    ],
)
def test_a_wrong_label_file_is_refused_with_its_mistake(folder: Path, text: str, words: str) -> None:
    (folder / "labels.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=words):
        load(str(folder), 28, 1)
