"""A mixture over HTTP: a real server of a file whose every image is 10 times its member's place, and its label more."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from drawwell.addresses.latents import labels, latents, members
from drawwell.engine.engine import Engine
from drawwell.files.card import card_from_json
from drawwell.http.client import Client
from tests import graphs
from tests.conftest import Server, StartServer, drawwell

COUNT = 4
CLASSES = ("boot", "coat", "hat")
NPY = {"Accept": "application/x-npy"}
ZEROS = [0.0] * graphs.DIM


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graphs.write_mixture(tmp_path_factory.mktemp("mixture") / "mixture.onnx", COUNT, *CLASSES)


@pytest.fixture(scope="module")
def mixture(start_server: StartServer, file: Path) -> Server:
    return start_server(file)


@pytest.fixture(scope="module")
def http(mixture: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mixture.url, timeout=60) as client:
        yield client


def drawn(answer: httpx.Response) -> list[int]:
    """What each image is of: 10 times its member, and its label."""
    return list(np.load(io.BytesIO(answer.raise_for_status().content))[:, 0, 0, 0])


def wanted(seed: int, indices: Any) -> list[int]:
    both = 10 * members(seed, indices, COUNT, graphs.DIM) + labels(seed, indices, len(CLASSES), graphs.DIM)
    return list(both)


def test_every_form_is_drawn_by_the_addresses_members(http: httpx.Client) -> None:
    many, some = {"seed": 7, "count": 1000}, {"seed": 7, "indices": [5, 99, 3, 5]}
    assert drawn(http.post("/generate", json=many, headers=NPY)) == wanted(7, range(1000))
    assert drawn(http.post("/generate", json=some, headers=NPY)) == wanted(7, [5, 99, 3, 5])
    for accept in ("application/json", "image/png", "application/zip", "application/x-tar"):
        answer = http.post("/generate", json={"seed": 7, "count": 100}, headers={"Accept": accept}).raise_for_status()
        assert "x-drawwell-member" not in answer.headers


def test_urls_name_the_images_of_the_addresses_members(http: httpx.Client, file: Path) -> None:
    digest = Engine(file, threads=1).digest
    for index, level in enumerate(wanted(7, range(8))):
        answer = http.get(f"/images/{digest}/7/{index}.png").raise_for_status()
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert (np.asarray(picture) == level).all()
    shard = http.get(f"/shards/{digest}/7/0-99.tar").raise_for_status().content
    with tarfile.open(fileobj=io.BytesIO(shard)) as archive:
        pictures = [archive.extractfile(name) for name in archive.getnames() if name.endswith(".png")]
        levels = [int(np.asarray(Image.open(picture))[0, 0]) for picture in pictures if picture is not None]
    assert levels == wanted(7, range(100))


def test_every_client_gets_what_the_file_draws(mixture: Server, file: Path, tmp_path: Path) -> None:
    with closing(Client(mixture.url)) as client:
        remote, local = (one.generate(7, 300) for one in (client, Engine(file, threads=1)))
        assert client.card.generators == COUNT
    np.testing.assert_array_equal(remote.images, local.images)
    for target, name in ((str(file), "local"), (mixture.url, "remote")):
        drawwell("generate", target, "--seed", "7", "--count", "150", "--out", str(tmp_path / f"{name}.tar"))
    assert (tmp_path / "local.tar").read_bytes() == (tmp_path / "remote.tar").read_bytes()


def test_latents_are_drawn_by_the_member_that_is_named_else_by_the_first(http: httpx.Client) -> None:
    body = {"latents": [ZEROS] * 2, "labels": [0, 2]}
    for given, member in (({}, 0), ({"member": 0}, 0), ({"member": 3}, 3)):
        answer = http.post("/generate", json=body | given, headers=NPY)
        assert drawn(answer) == [10 * member, 10 * member + 2]
        assert answer.headers["x-drawwell-member"] == str(member)


@pytest.mark.parametrize(("start", "end"), [(0, 1), (1, 0), (2, 9), (9, 2)])
def test_an_interpolation_stays_within_the_generator_of_its_first_address(
    http: httpx.Client, start: int, end: int
) -> None:
    way = {"from": {"seed": 7, "index": start}, "to": {"seed": 8, "index": end}, "steps": 5}
    answer = http.post("/generate", json={"interpolate": way, "labels": 1}, headers=NPY)
    member = int(members(7, [start], COUNT, graphs.DIM)[0])
    assert drawn(answer) == [10 * member + 1] * 5
    assert answer.headers["x-drawwell-member"] == str(member)


def test_requests_of_latents_and_of_addresses_share_a_run(http: httpx.Client) -> None:
    from concurrent.futures import ThreadPoolExecutor

    given = {"latents": latents(7, range(3), graphs.DIM).tolist(), "labels": 0, "member": 2}
    bodies = [given, {"seed": 7, "count": 3}] * 20
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: drawn(http.post("/generate", json=body, headers=NPY)), bodies))
    assert answers == [[20] * 3, wanted(7, range(3))] * 20


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            {"seed": 7, "member": 1},
            "member goes with latents: in a mixture, an address chooses its generator by itself",
        ),
        (
            {"interpolate": {"from": {"seed": 1, "index": 2}, "to": {"seed": 1, "index": 3}, "steps": 2}, "member": 1},
            "member goes with latents",
        ),
        ({"latents": [ZEROS], "labels": 0, "member": 4}, "member must be in [0, 4), not 4"),
        ({"latents": [ZEROS], "labels": 0, "member": -1}, "member: Expected `int` >= 0"),
        ({"latents": [ZEROS], "labels": 0, "member": "1"}, "member: Expected `int`, got `str`"),
    ],
)
def test_a_wrong_member_is_explained(http: httpx.Client, body: dict[str, Any], sentence: str) -> None:
    answer = http.post("/generate", json=body)
    error = answer.json()["error"]
    assert error["message"].startswith(sentence)
    assert (answer.status_code, error["code"], error["field"]) == (422, "invalid_field", "member")


def test_a_file_of_one_generator_takes_no_member(server: Server) -> None:
    answer = httpx.post(f"{server.url}/generate", json={"latents": [[0.0] * 100], "member": 0})
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, "member")
    assert error["message"] == "this server draws from a single generator, not from a mixture: leave member out"
    assert "members" not in httpx.get(f"{server.url}/model").json()["card"]


def test_model_and_page_tell_of_the_members(http: httpx.Client) -> None:
    model = http.get("/model").json()
    assert [one["steps"] for one in model["card"]["members"]] == [0, 1, 2, 3]
    assert card_from_json(httpx.Response(200, json=model["card"]).content).generators == COUNT
    assert model["in_words"]["Mixture"].startswith("4 generators; each address belongs to one of them; ")
    assert "4 generators; each address belongs to one of them" in http.get("/").text
