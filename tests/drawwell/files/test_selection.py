"""A selection file holds exactly the images that were selected, in a bit or two an image, or is refused with a sentence."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import drawwell
from drawwell.errors import SelectionError
from drawwell.files.selection import Selection, read_selection, selection_from_bytes

DIGEST = "a" * 64


def selection(indices: list[int] | npt.NDArray[np.int64], **more: Any) -> Selection:
    return Selection(DIGEST, 7, np.array(indices, np.int64), **more)


@given(
    start=st.integers(0, 2**63 - 2000),
    steps=st.lists(st.integers(1, 60), max_size=30),
    labels=st.none() | st.integers(0, 9) | st.just("each"),
    spread=st.floats(0.001, 2.0),
)
def test_what_is_written_is_read_again(start: int, steps: list[int], labels: int | str | None, spread: float) -> None:
    indices = np.cumsum([start, *steps], dtype=np.int64)
    chosen = np.arange(len(indices)) % 10 if labels == "each" else labels
    made = Selection(DIGEST, 7, indices, chosen, spread, {"rule": "agree"})  # type: ignore[arg-type]
    read = selection_from_bytes(made.to_bytes())
    assert np.array_equal(read.indices, indices) and read.sha256 == made.sha256
    assert (read.generator, read.seed, read.spread, read.how) == (DIGEST, 7, spread, {"rule": "agree"})
    assert np.array_equal(read.labels, chosen) if isinstance(chosen, np.ndarray) else read.labels == chosen  # type: ignore[arg-type]


def test_sixty_thousand_images_take_some_ten_kilobytes() -> None:
    chosen = np.flatnonzero(np.random.default_rng(0).random(80_000) < 0.75)
    assert len(selection(chosen).to_bytes()) < 12_000


def test_another_generator_is_refused_and_both_are_named() -> None:
    with pytest.raises(SelectionError, match=r"of generator aaaaaaaaaaaa, and fashion is bbbbbbbbbbbb: open the"):
        selection([1]).check_generator("b" * 64, "fashion")
    selection([1]).check_generator(DIGEST, "fashion")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 3}, "is of version 3, and this drawwell reads up to 2: use a newer version"),
        ({"version": 1}, "is of version 1, written before 0.1.0: select again"),
        ({"format": "other"}, "is no selection"),
        ({"seed": 8}, "SHA-256 is wrong"),
        ({"bitmap": "AAAA"}, "damaged: what it compresses cannot be read"),
        ({"start": 4}, "SHA-256 is wrong"),
        ({"labels": 3}, "SHA-256 is wrong"),
        ({"spread": 0.5}, "SHA-256 is wrong"),
        ({"how": {"rule": "mine"}}, "SHA-256 is wrong"),
        ({"candidates": 2**40}, "more than"),
        ({"start": 2**63 - 1}, "outside"),
        ({"more": 1}, "is no selection, or is damaged"),
    ],
)
def test_a_changed_file_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    file = tmp_path / "selection.json"
    file.write_text(json.dumps(json.loads(selection([3, 9]).to_bytes()) | change))
    with pytest.raises(SelectionError, match=f"selection.json: .*{words}"):
        read_selection(file)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"\x89PNG"])
def test_rubbish_is_refused(content: bytes) -> None:
    with pytest.raises(SelectionError, match="no selection"):
        selection_from_bytes(content)


def test_a_compressed_bomb_is_refused_before_it_is_in_memory() -> None:
    members = json.loads(selection([3, 9]).to_bytes())
    bomb = json.loads(selection(np.arange(0, 2**24, 2**10)).to_bytes())["bitmap"]
    with pytest.raises(SelectionError, match="another length"):
        selection_from_bytes(json.dumps(members | {"bitmap": bomb}).encode())


@pytest.mark.parametrize("level", [0, 1])
def test_the_digest_is_of_the_content_whatever_compressed_it(level: int) -> None:
    made = selection(np.arange(0, 3000, 3), labels=np.arange(1000) % 10, how={"rule": "agree"})
    members = json.loads(made.to_bytes())
    otherwise = members | {name: compressed_again(members[name], level) for name in ("bitmap", "labels")}
    assert otherwise != members
    read = selection_from_bytes(json.dumps(otherwise).encode())
    assert read.sha256 == members["sha256"] == made.sha256
    assert read.to_bytes() == made.to_bytes()


def compressed_again(text: str, level: int) -> str:
    return base64.b64encode(zlib.compress(zlib.decompress(base64.b64decode(text)), level)).decode()


def test_a_bitmap_that_begins_earlier_is_the_same_selection() -> None:
    """Another program may write every candidate, and not from the first chosen one to the last."""
    made = selection([16, 21])
    wide = zlib.compress(np.packbits(np.isin(np.arange(40), made.indices)).tobytes())
    members = json.loads(made.to_bytes()) | {"start": 0, "candidates": 40, "bitmap": base64.b64encode(wide).decode()}
    read = selection_from_bytes(json.dumps(members).encode())
    assert (read.indices.tolist(), read.sha256) == ([16, 21], made.sha256)


def test_other_content_has_another_digest() -> None:
    same = selection([3, 9])
    others = [
        Selection("b" * 64, 7, same.indices),
        Selection(DIGEST, 8, same.indices),
        selection([3, 10]),
        selection([3, 9], labels=1),
        selection([3, 9], labels=np.array([1, 1])),
        selection([3, 9], labels=np.array([1, 2])),
        selection([3, 9], spread=0.5),
        selection([3, 9], how={"rule": "agree"}),
    ]
    assert len({one.sha256 for one in (same, *others)}) == 1 + len(others)


def test_the_digest_of_a_selection_is_known() -> None:
    """It names data sets in certificates and records, so a change of it is a new version of the format."""
    known = "a4d41c4f3809db1c936419767ee1e01a3ffb001615e95200ea4aa67ceec97db2"
    assert selection([3, 9], labels=np.array([1, 0]), how={"rule": "agree"}).sha256 == known


@pytest.mark.parametrize(
    ("indices", "more", "words"),
    [
        ([], {}, "at least one index"),
        ([3, 3], {}, "ascending"),
        ([9, 3], {}, "ascending"),
        ([-1, 3], {}, r"index must be in \[0, 2\*\*63\), not -1"),
        ([0, 2**40], {}, "apart"),
        ([1], {"spread": 0.0}, "spread"),
        ([1], {"spread": 2.5}, "spread"),
        ([1], {"spread": "1"}, "spread must be a number"),
        ([1, 2], {"labels": np.array([1])}, "1 labels for 2 images"),
        (
            [1, 2],
            {"labels": "Bag"},
            "must be an integer, not 'Bag': it is the place of the class among the class_names",
        ),
        ([1, 2], {"labels": ["Bag", 0]}, "must be an integer, not 'Bag'"),
        ([1, 2], {"labels": np.array(["Bag", "Hat"])}, "must be an integer"),
        ([1, 2], {"labels": [True, 0]}, "must be an integer, not True"),
        ([1, 2], {"labels": np.array([0.0, 1.0])}, "must be an integer"),
        ([1, 2], {"labels": np.zeros((2, 1), np.int64)}, "must be an integer"),
        ([1, 2], {"labels": np.array(3)}, "must be an integer"),
        ([1, 2], {"labels": [0, [1]]}, "must be an integer"),
        ([1, 2], {"labels": [0, -1]}, r"must be in \[0, 2\*\*63\), not -1"),
        ([1, 2], {"labels": 2**63}, r"must be in \[0, 2\*\*63\)"),
        ([1, 2], {"labels": np.array([0, 2**63], np.uint64)}, r"must be in \[0, 2\*\*63\)"),
    ],
)
def test_what_no_selection_has_is_refused(indices: list[int], more: dict[str, Any], words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        selection(indices, **more)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("generator", None, "names no generator"),
        ("generator", "a", "names no generator"),
        ("seed", "7", "seed must be an integer, not str"),
        ("indices", 5, "not iterable"),
        ("indices", "5", "index must be an integer, not str"),
        ("indices", [1.0], "index must be an integer, not float"),
        ("indices", range(2**40), "apart"),
    ],
)
def test_a_field_of_another_type_is_refused(field: str, value: Any, words: str) -> None:
    fields: dict[str, Any] = {"generator": DIGEST, "seed": 7, "indices": [1], field: value}
    with pytest.raises(SelectionError, match=words):
        Selection(**fields)


@pytest.mark.parametrize("indices", [[3, 4, 5], range(3, 6), (3, 4, 5), np.array([3, 4, 5], np.uint8)])
@pytest.mark.parametrize("labels", [[2, 0, 1], (2, 0, 1), np.array([2, 0, 1], np.uint8), [np.int16(2), 0, 1]])
def test_numbers_in_any_form_are_one_selection(indices: Any, labels: Any) -> None:
    made = Selection(DIGEST, np.int64(7), indices, labels, np.float32(1.5))  # type: ignore[arg-type]
    expected = selection([3, 4, 5], labels=np.array([2, 0, 1]), spread=1.5)
    assert made.to_bytes() == expected.to_bytes()
    assert made.indices.dtype == np.int64 and made.indices.tolist() == [3, 4, 5]
    assert selection([3], labels=np.int32(8)).to_bytes() == selection([3], labels=8).to_bytes()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match=r"none.json: cannot be read \(No such file"):
        drawwell.read_selection(tmp_path / "none.json")
