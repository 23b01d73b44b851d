"""The library webdataset, as it comes, reads shards from a real server; docs/guides/draw.md shows how."""

import io
import itertools
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import webdataset
from PIL import Image

import drawwell
from tests import graphs
from tests.conftest import ROOT, Server, StartServer

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset fetches with curl, and there is none")

SEED, SHARD = 7, 100


def shards_of(url: str, digest: str) -> str:
    return f"{url}/shards/{digest}/{SEED}"


def pixels(sample: dict[str, Any]) -> np.ndarray:
    image = np.asarray(Image.open(io.BytesIO(sample["png"])))
    return image.reshape(*image.shape[:2], -1)


def check(samples: list[dict[str, Any]], generator: Path | str, indices: list[int]) -> None:
    """Keys are addresses; images and labels are those of the local engine."""
    assert [sample["__key__"] for sample in samples] == [f"{SEED}-{index}" for index in indices]
    with closing(drawwell.open(generator)) as engine:
        batch = engine.generate(SEED, indices=indices)
    assert (np.stack([pixels(sample) for sample in samples]) == batch.images).all()
    if batch.labels is None:
        assert not any("cls" in sample for sample in samples)
    else:
        assert [int(sample["cls"]) for sample in samples] == batch.labels.tolist()


def drawn(server: Server) -> float:
    found = re.search(r"^drawwell_images_total (\S+)$", httpx.get(f"{server.url}/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0


@pytest.fixture(scope="module")
def digest(server: Server) -> str:
    return str(httpx.get(f"{server.url}/model").json()["digest"])


def test_a_brace_pattern_names_a_few_shards(server: Server, tiny_generator: Path, digest: str) -> None:
    urls = shards_of(server.url, digest) + "/{0-99,100-199,200-250}.tar"
    check(list(webdataset.WebDataset(urls, shardshuffle=False)), tiny_generator, list(range(251)))


def test_a_range_in_braces_names_shards_of_one_image_each(server: Server, tiny_generator: Path, digest: str) -> None:
    """What first and last have in common cannot be said in braces: {0..2}-{0..2} would be nine shards."""
    urls = [f"{shards_of(server.url, digest)}/{index}-{index}.tar" for index in range(3)]
    check(list(webdataset.WebDataset(urls, shardshuffle=False)), tiny_generator, [0, 1, 2])


def test_a_million_shards_cost_nothing_until_they_are_read(server: Server, tiny_generator: Path, digest: str) -> None:
    asked = 0

    def shards() -> Iterator[dict[str, str]]:
        nonlocal asked
        for first in range(0, 1_000_000 * SHARD, SHARD):
            asked += 1
            yield {"url": f"{shards_of(server.url, digest)}/{first}-{first + SHARD - 1}.tar"}

    before = drawn(server)
    dataset = webdataset.DataPipeline(shards, webdataset.split_by_worker, webdataset.tarfile_to_samples())
    assert (asked, drawn(server)) == (0, before)
    with closing(iter(dataset)) as samples:
        check(list(itertools.islice(samples, 150)), tiny_generator, list(range(150)))
    assert asked == 2 and drawn(server) <= before + 2 * SHARD


def test_labels_come_along(start_server: StartServer, tmp_path: Path) -> None:
    path = graphs.write_labelled(tmp_path / "labelled.onnx", "a", "b", "c")
    server = start_server(path)
    urls = shards_of(server.url, httpx.get(f"{server.url}/model").json()["digest"]) + "/{0-9,10-19}.tar"
    check(list(webdataset.WebDataset(urls, shardshuffle=False)), path, list(range(20)))


def test_a_shard_that_there_is_not_ends_the_reading(server: Server, digest: str) -> None:
    urls = shards_of(server.url, digest) + "/{0-9,9-0}.tar"
    with pytest.raises((OSError, tarfile.ReadError)):  # whichever of curl and tar notices first
        list(webdataset.WebDataset(urls, shardshuffle=False))


def test_a_key_is_sent_by_a_pipe(
    start_server: StartServer, tiny_generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server(tiny_generator, DRAWWELL_KEY="a-key-of-tests")
    monkeypatch.setenv("DRAWWELL_KEY", "a-key-of-tests")
    digest = httpx.get(f"{server.url}/model", headers={"Authorization": "Bearer a-key-of-tests"}).json()["digest"]
    fetch = 'pipe:curl -sf --retry 30 -H "Authorization: Bearer $DRAWWELL_KEY" '
    urls = [f"{fetch}{shards_of(server.url, digest)}/0-9.tar"]
    check(list(webdataset.WebDataset(urls, shardshuffle=False)), tiny_generator, list(range(10)))


def test_the_page_of_the_documentation_shows_this() -> None:
    text = (ROOT / "docs" / "guides" / "draw.md").read_text()
    for words in ("webdataset.DataPipeline", "webdataset.tarfile_to_samples()", "pipe:curl", "{0-999,1000-1999}"):
        assert words in text


def test_a_shard_is_drawn_without_a_server() -> None:
    """``--out -`` is the pipe that webdataset reads."""
    command = f"{sys.executable} -m drawwell generate fashion --seed {SEED} --start 5 --count 20 --out -"
    check(list(webdataset.WebDataset(f"pipe:{command}", shardshuffle=False)), "fashion", list(range(5, 25)))
