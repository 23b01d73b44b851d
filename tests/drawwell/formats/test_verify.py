"""Whole, cut off, damaged or foreign: told rightly for every byte of a file."""

import io
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawwell.addresses.arguments import CheckedIndices
from drawwell.files.labels import CheckedLabels
from drawwell.formats.archives import File, Tar, Zip
from drawwell.formats.names import facts_of, files_of
from drawwell.formats.npy import Npy
from drawwell.formats.verify import Report, verify

FORMATS: dict[str, type[Tar] | type[Zip]] = {"tar": Tar, "zip": Zip}
DIGEST = "0f" * 32
COUNT = 12
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 9, 8, 3)).astype(np.uint8)
LABELS = np.arange(COUNT)
ANY_BYTE = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def archived(
    archive_type: type[Tar] | type[Zip], indices: CheckedIndices, labelled: bool = True
) -> tuple[bytes, list[int]]:
    """An archive, and how many bytes it has with each image."""
    archive, content, lengths = archive_type(), b"", []
    for row, index in enumerate(indices):
        labels = LABELS[row : row + 1] if labelled else None
        content += archive.append(archive.chunk(files_of(7, np.array([index]), IMAGES[row : row + 1], labels)))
        lengths.append(len(content))
    return content + b"".join(archive.end(facts_of(DIGEST, 7, indices))), lengths


def made(kind: str) -> tuple[bytes, list[int]]:
    if kind != "npy":
        return archived(FORMATS[kind], range(100, 100 + COUNT))
    lengths = [len(Npy(IMAGES.shape).header) + IMAGES[0].size * (row + 1) for row in range(COUNT)]
    return Npy.encode(IMAGES), lengths


WHOLE = {kind: made(kind) for kind in ("npy", "tar", "zip")}


def verified(folder: Path, content: bytes) -> Report:
    file = folder / "anything"
    file.write_bytes(content)
    return verify(file)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_whole_archive_tells_what_it_holds(tmp_path: Path, kind: str) -> None:
    report = verified(tmp_path, WHOLE[kind][0])
    assert (report.state, report.images) == ("whole", COUNT)
    assert report.facts == {"digest": DIGEST, "seed": 7, "count": COUNT, "start": 100}
    assert report.sentence == "whole: 12 images of seed 7 from index 100, generator 0f0f0f0f0f0f"


def test_a_whole_npy_tells_what_it_holds(tmp_path: Path) -> None:
    report = verified(tmp_path, WHOLE["npy"][0])
    assert (report.state, report.images) == ("whole", COUNT)
    assert report.sentence.startswith("whole: 12 images of 8 x 9 pixels, colour")


@pytest.mark.parametrize("archive_type", FORMATS.values())
@pytest.mark.parametrize("labelled", [False, True])
def test_chosen_indices_are_whole_too(tmp_path: Path, archive_type: type[Tar] | type[Zip], labelled: bool) -> None:
    content, lengths = archived(archive_type, np.array([5, 99, 3]), labelled)
    assert verified(tmp_path, content).sentence.startswith("whole: 3 images of seed 7 at chosen indices, ")
    cut = verified(tmp_path, content[: lengths[1]])
    assert (cut.state, cut.images) == ("cut", 2)
    assert cut.sentence == "cut off after 2 whole images; ask for those that come after index 99"


@pytest.mark.parametrize("archive_type", FORMATS.values())
@pytest.mark.parametrize(
    ("labels", "words"), [(2, " with label 2"), (np.array([2, 0, 2]), " with chosen labels"), (None, "")]
)
def test_chosen_labels_are_told_and_checked(
    tmp_path: Path, archive_type: type[Tar] | type[Zip], labels: CheckedLabels | None, words: str
) -> None:
    def archive(facts: dict[str, object], *parts: list[File]) -> bytes:
        made = archive_type()
        return b"".join([*(made.append(made.chunk(part)) for part in parts), *made.end(facts)])

    each = np.full(3, 0 if labels is None else labels)
    files = files_of(7, range(5, 8), IMAGES[:3], each, chosen=labels is not None)
    facts = facts_of(DIGEST, 7, range(5, 8), labels)
    whole = archive(facts, files)
    assert (
        verified(tmp_path, whole).sentence == f"whole: 3 images of seed 7 from index 5{words}, generator {DIGEST[:12]}"
    )
    cut = verified(tmp_path, whole[: len(archive_type.chunk(files[:4]).data)])
    assert cut.sentence.startswith("cut off after 2 whole images; ask for the rest from index 7 on")
    assert words in cut.sentence
    unsaid = {name: fact for name, fact in facts.items() if not name.startswith("label")}
    for other in ({"label": 0}, {"label": None}, {"labels_sha256": "0" * 64}, {}):
        if unsaid | other != facts:
            assert verified(tmp_path, archive(unsaid | other, files)).state == "damaged"
    mixed = files_of(7, range(8, 9), IMAGES[:1], each[:1], chosen=labels is None)
    assert verified(tmp_path, archive(facts | {"count": 4}, files, mixed)).state == "damaged"


@pytest.mark.parametrize("kind", WHOLE)
@given(data=st.data())
@ANY_BYTE
def test_cut_anywhere_it_is_cut_and_its_whole_images_are_counted(
    tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    content, lengths = WHOLE[kind]
    length = data.draw(st.integers(0, len(content) - 1))
    report = verified(tmp_path, content[:length])
    assert report.state == "cut" or (report.state == "foreign" and length < 600)  # too short to tell what it was
    assert report.images == sum(end <= length for end in lengths)
    if kind != "npy" and lengths[0] <= length < lengths[-1]:
        assert report.sentence.endswith(
            f"; ask for the rest from index {100 + report.images} on, if it was asked for as a range"
        )


@pytest.mark.parametrize("kind", WHOLE)
@given(data=st.data())
@ANY_BYTE
def test_no_byte_can_change_unseen(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    content = bytearray(WHOLE[kind][0])
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    assert verified(tmp_path, bytes(content)).state in ("damaged", "foreign")


@pytest.mark.parametrize("kind", WHOLE)
def test_nothing_may_follow_or_be_missing_between(tmp_path: Path, kind: str) -> None:
    content, lengths = WHOLE[kind]
    assert verified(tmp_path, content + b"\0").state == "damaged"
    assert verified(tmp_path, content[: lengths[3]] + content[lengths[4] :]).state == "damaged"
    assert verified(tmp_path, content[: lengths[3]] + content[lengths[2] :]).state == "damaged"


@pytest.mark.parametrize("archive_type", FORMATS.values())
@pytest.mark.parametrize(
    "wrong", [{"count": 3}, {"seed": 8}, {"start": 1}, {"digest": "x"}, {"start": None}, {"digest": None}]
)
def test_a_record_of_other_images_is_no_proof(
    tmp_path: Path, archive_type: type[Tar] | type[Zip], wrong: dict[str, object]
) -> None:
    archive = archive_type()
    content = archive.append(archive.chunk(files_of(7, range(2), IMAGES[:2], None)))
    facts = facts_of(DIGEST, 7, range(2)) | wrong
    assert verified(tmp_path, content + b"".join(archive.end(facts))).state == "damaged"


def test_files_of_others_are_foreign(tmp_path: Path) -> None:
    zipped, tarred, saved = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.txt", "a")
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a.txt"))
    np.save(saved, np.zeros((3, 4)))
    for content in (b"", b"x" * 5000, zipped.getvalue(), tarred.getvalue(), saved.getvalue()):
        assert verified(tmp_path, content).state == "foreign"


def test_what_another_program_archived_again_is_not_whole(tmp_path: Path) -> None:
    again = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WHOLE["zip"][0])) as old, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    report = verified(tmp_path, again.getvalue())
    assert (report.state, "or not made by drawwell" in report.sentence) == ("damaged", True)


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    npy, file = Npy((200_000, 28, 28, 1)), tmp_path / "x.npy"
    file.write_bytes(npy.header)
    os.truncate(file, npy.length)  # a hole, which takes no room on the disk
    tracemalloc.start()
    try:
        assert verify(file).state == "damaged"
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * 2**20
