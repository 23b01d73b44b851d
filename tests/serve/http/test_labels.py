"""Labels over HTTP: a real server of a generator whose every image is its label everywhere."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from drawwell.engine.engine import Engine
from drawwell.errors import RequestError
from drawwell.formats.verify import verify
from drawwell.http.client import Client
from tests import graphs
from tests.conftest import Server, StartServer, drawwell

NPY = {"Accept": "application/x-npy"}
MOST = 100


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graphs.write_labelled(tmp_path_factory.mktemp("labelled") / "labelled.onnx", "boot", "coat", "hat")


@pytest.fixture(scope="module")
def engine(file: Path) -> Engine:
    return Engine(file, threads=1)


@pytest.fixture(scope="module")
def labelled(start_server: StartServer, file: Path) -> Server:
    return start_server(file, DRAWWELL_MAX_COUNT=str(MOST))


@pytest.fixture(scope="module")
def http(labelled: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=labelled.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def client(labelled: Server) -> Iterator[Client]:
    with closing(Client(labelled.url)) as client:
        yield client


def drawn(http: httpx.Client, **body: Any) -> list[int]:
    """The label that each image is of."""
    answer = http.post("/generate", json=body, headers=NPY).raise_for_status()
    return list(np.load(io.BytesIO(answer.content))[:, 0, 0, 0])


def test_one_label_or_one_for_each_is_drawn(http: httpx.Client) -> None:
    assert drawn(http, seed=7, count=3, labels=2) == [2, 2, 2]
    assert drawn(http, seed=7, count=3, labels=[2, 0, 1]) == [2, 0, 1]
    assert drawn(http, seed=7, indices=[9, 9], labels=[0, 2], truncation=0.7) == [0, 2]


def test_a_label_is_a_name_or_a_number(http: httpx.Client) -> None:
    assert drawn(http, seed=7, count=2, labels="hat") == [2, 2]
    assert drawn(http, seed=7, count=4, labels=["hat", 0, "1", "boot"]) == [2, 0, 1, 0]


def test_budgets_are_the_images_of_their_indices(http: httpx.Client, engine: Engine) -> None:
    body = {"seed": 7, "start": 50, "per_class": {"hat": 20, "0": 7}}
    answer = http.post("/generate", json=body, headers=NPY).raise_for_status()
    expected = engine.generate(7, start=50, per_class={"hat": 20, "boot": 7})
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), expected.images)
    indices = np.asarray(expected.indices)
    assert answer.headers["x-drawwell-indices"] == hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest()
    images = http.post("/generate", json=body).json()["images"]
    assert [image["index"] for image in images] == indices.tolist()


WRONG_BUDGETS = [
    ({"per_class": {"cap": 1}}, "there is no class 'cap': the classes are 'boot', 'coat', 'hat', by index 0 to 2"),
    ({"per_class": {"hat": 0}}, "per_class[...]: Expected `int` >= 1"),
    ({"per_class": {}}, "per_class: Expected `object` of length >= 1"),
    (
        {"per_class": {"hat": 60, "boot": 41}},
        "101 images of chosen classes are too many for one reply: ask for at most 100",
    ),
    ({"per_class": {"hat": 1}, "count": 1}, "per_class replaces count, indices and labels: give one or the other"),
    ({"per_class": {"hat": 1, "2": 1}}, "per_class names the class '2' twice, by name and by index"),
    ({"per_class": {"hat": 99}, "start": 2**63 - 10}, "the budgets are not met within 10 indices, which have "),
]


@pytest.mark.parametrize(("body", "sentence"), WRONG_BUDGETS, ids=lambda value: repr(value)[:40])
def test_wrong_budgets_are_explained(http: httpx.Client, body: dict[str, Any], sentence: str) -> None:
    answer = http.post("/generate", json={"seed": 7} | body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (422, "invalid_field", "per_class")
    assert error["message"].startswith(sentence)


def test_a_spread_is_a_factor_with_a_header_and_no_archive(http: httpx.Client, engine: Engine) -> None:
    answer = http.post("/generate", json={"seed": 7, "count": 5, "spread": 1.5}, headers=NPY)
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), engine.generate(7, 5, spread=1.5).images)
    assert answer.headers["x-drawwell-spread"] == "1.5" and "x-drawwell-truncation" not in answer.headers
    refused = http.post("/generate", json={"seed": 7, "spread": 1.5}, headers={"Accept": "application/zip"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_address")
    for body in ({"spread": 2.5}, {"spread": 0}, {"spread": 1.5, "truncation": 0.5}):
        wrong = http.post("/generate", json=body)
        assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "spread")


def test_left_out_they_are_those_of_the_addresses_and_given_so_the_same_bytes(
    http: httpx.Client, engine: Engine
) -> None:
    wanted = engine.generate(7, 100).labels
    assert wanted is not None
    plain = http.post("/generate", json={"seed": 7, "count": 100}, headers=NPY)
    given = http.post("/generate", json={"seed": 7, "count": 100, "labels": wanted.tolist()}, headers=NPY)
    assert plain.content == given.content
    assert drawn(http, seed=7, count=100) == wanted.tolist()
    assert "x-drawwell-labels" not in plain.headers
    assert given.headers["x-drawwell-labels"] == hashlib.sha256(wanted.astype("<i8").tobytes()).hexdigest()
    one = http.post("/generate", json={"seed": 7, "count": 100, "labels": 2}, headers=NPY)
    assert one.headers["x-drawwell-labels"] == "2"


def test_json_names_the_label_of_each_image(http: httpx.Client, engine: Engine) -> None:
    images = http.post("/generate", json={"seed": 7, "count": 3, "labels": [2, 0, 1]}).json()["images"]
    assert [(image["index"], image["label"]) for image in images] == [(0, 2), (1, 0), (2, 1)]
    with Image.open(io.BytesIO(base64.b64decode(images[0]["png"]))) as picture:
        assert (np.asarray(picture) == 2).all()
    of_addresses, wanted = http.post("/generate", json={"seed": 7, "count": 9}).json()["images"], engine.generate(7, 9)
    assert wanted.labels is not None
    assert [image["label"] for image in of_addresses] == wanted.labels.tolist()


def test_a_png_is_of_its_label(http: httpx.Client) -> None:
    answer = http.post("/generate", json={"seed": 7, "labels": 2}, headers={"Accept": "image/png"})
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (np.asarray(picture) == 2).all()


def test_what_has_no_address_is_drawn_of_the_labels_given(http: httpx.Client) -> None:
    way = {"from": {"seed": 1, "index": 2}, "to": {"seed": 1, "index": 3}, "steps": 3}
    assert drawn(http, interpolate=way, labels=1) == [1, 1, 1]
    assert drawn(http, interpolate=way, labels=[2, 0, 1]) == [2, 0, 1]
    assert drawn(http, latents=[[0.0] * graphs.DIM] * 2, labels=[2, 0], truncation=0.5) == [2, 0]
    answer = http.post("/generate", json={"interpolate": way, "labels": 1})
    assert [image["label"] for image in answer.json()["images"]] == [1, 1, 1]
    assert answer.headers["x-drawwell-labels"] == "1"


RANGE = "a label must be in [0, 3), not 3: the classes are 'boot', 'coat', 'hat'"
WRONG = [
    ({"labels": 3}, RANGE),
    ({"count": 2, "labels": [0, 3]}, RANGE),
    ({"count": 2, "labels": [0]}, "1 labels for 2 images: give one for all, or one for each"),
    ({"indices": [5, 9], "labels": [0, 1, 2]}, "3 labels for 2 images"),
    ({"labels": -1}, "labels: Expected `int` >= 0"),
    ({"labels": True}, "labels: Expected `int | str | array`, got `bool`"),
    ({"labels": 1.0}, "labels: Expected `int | str | array`, got `float`"),
    ({"labels": "cap"}, "there is no class 'cap': the classes are 'boot', 'coat', 'hat', by index 0 to 2"),
    ({"count": 2, "labels": ["hat", "cap"]}, "there is no class 'cap'"),
    ({"labels": None}, "labels: Expected `int | str | array`, got `null`"),
    ({"labels": []}, "labels: Expected `array` of length >= 1"),
    ({"count": 2, "labels": [0, False]}, "labels[1]: Expected `int | str`, got `bool`"),
    ({"labels": [0] * 65_537}, "labels: Expected `array` of length <= 65536"),
    ({"latents": [[0.0] * graphs.DIM] * 2, "labels": [0]}, "1 labels for 2 images"),
    (
        {"latents": [[0.0] * graphs.DIM]},
        "this generator has classes, and without an address there is no label: give la",
    ),
]


@pytest.mark.parametrize(("body", "sentence"), WRONG, ids=lambda value: repr(value)[:40])
def test_wrong_labels_are_explained(http: httpx.Client, body: dict[str, Any], sentence: str) -> None:
    answer = http.post("/generate", json=body)
    error = answer.json()["error"]
    assert error["message"].startswith(sentence)
    assert (answer.status_code, error["code"], error["field"]) == (422, "invalid_field", "labels")


@pytest.mark.parametrize("body", [{"seed": 7, "labels": 0}, {"labels": [0]}, {"latents": [[0.0] * 100], "labels": 0}])
def test_a_generator_without_classes_takes_no_label(server: Server, body: dict[str, Any]) -> None:
    answer = httpx.post(f"{server.url}/generate", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["message"], error["field"]) == (
        422,
        "this generator takes no label: it was trained without classes",
        "labels",
    )
    assert all("label" not in image for image in httpx.post(f"{server.url}/generate", json={}).json()["images"])


def test_labels_given_twice_are_refused(http: httpx.Client) -> None:
    answer = http.post("/generate", content=b'{"labels": 1, "labels": 2}', headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        400,
        "the body gives a field twice: give each field once",
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"per_class": {"hat": 1, "hat": 2}}',
        b'{"per_class": {"hat": 1, "h\\u0061t": 2}}',
        b'{"per_class": {"hat": 1}, "per_class": {"boot": 1}}',
        b'{"labels": "a:b", "seed": 1, "seed": 2}',
    ],
)
def test_what_is_given_twice_is_refused(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/generate", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_json")


@pytest.mark.parametrize("label", [b"a:b", b"a\\u003ab"])
def test_a_name_may_hold_a_colon(start_server: StartServer, tmp_path: Path, label: bytes) -> None:
    server = start_server(graphs.write_labelled(tmp_path / "x.onnx", "a", "a:b"))
    for field in (b'"labels": "%b"', b'"labels": ["%b"]', b'"per_class": {"%b": 1}'):
        body = b"{" + field % label + b"}"
        answer = httpx.post(
            f"{server.url}/generate", content=body, headers={"Content-Type": "application/json"}
        ).raise_for_status()
        assert answer.json()["images"][0]["label"] == 1


@pytest.mark.parametrize("labels", [None, 1, [2, 0, 1] * 30])
def test_an_archive_is_named_by_the_labels_that_were_chosen(http: httpx.Client, tmp_path: Path, labels: Any) -> None:
    body = {"seed": 7, "count": 90} | ({} if labels is None else {"labels": labels})
    answer = http.post("/generate", json=body, headers={"Accept": "application/zip"})
    (tmp_path / "x.zip").write_bytes(answer.raise_for_status().content)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        names = [name.removesuffix(".png") for name in archive.namelist() if name.endswith(".png")]
        label_files = [int(archive.read(f"{name}.cls")) for name in names]
        record = json.loads(archive.read("__drawwell__"))
    report = verify(tmp_path / "x.zip")
    assert report.state == "whole"
    if labels is None:
        assert names == [f"7-{index}" for index in range(90)]
        assert not record.keys() & {"label", "labels_sha256"}
        return
    each = np.full(90, labels)
    assert label_files == each.tolist()
    assert names == [f"7-{index}-{label}" for index, label in enumerate(each)]
    if labels == 1:
        assert (record["label"], "with label 1," in report.sentence) == (1, True)
    else:
        assert record["labels_sha256"] == hashlib.sha256(each.astype("<i8").tobytes()).hexdigest()
        assert "with chosen labels," in report.sentence


def test_the_client_asks_in_pieces_and_each_image_has_its_label(client: Client, engine: Engine) -> None:
    labels = np.random.default_rng(0).integers(0, 3, 2 * MOST + 5)
    for given in (labels, labels.tolist(), 2, None):
        remote, local = (one.generate(7, len(labels), labels=given) for one in (client, engine))
        assert remote.labels is not None and local.labels is not None
        np.testing.assert_array_equal(remote.labels, local.labels)
        np.testing.assert_array_equal(remote.images, local.images)
        np.testing.assert_array_equal(remote.images[:, 0, 0, 0], remote.labels)


def test_the_client_says_the_same_of_wrong_labels(client: Client) -> None:
    with pytest.raises(
        RequestError, match=r"a label must be in \[0, 3\), not 3: the classes are 'boot', 'coat', 'hat'"
    ):
        client.generate(7, 2, labels=3)
    with pytest.raises(RequestError, match="there is no class 'cap'"):
        client.generate(7, 2, labels=["hat", "cap"])


def test_generate_writes_the_same_of_a_server(tmp_path: Path, file: Path, labelled: Server) -> None:
    for target, name in ((str(file), "local"), (labelled.url, "remote")):
        options = ["--seed", "7", "--count", "150", "--label", "hat", "--out"]
        drawwell("generate", target, *options, str(tmp_path / f"{name}.tar"))
    assert (tmp_path / "local.tar").read_bytes() == (tmp_path / "remote.tar").read_bytes()


def test_the_page_names_the_classes(http: httpx.Client) -> None:
    assert "boot, coat, hat" in http.get("/").text


def test_a_url_names_the_image_of_the_addresses_label(http: httpx.Client, engine: Engine) -> None:
    wanted = engine.generate(7, 1, 5).images[0]
    with Image.open(io.BytesIO(http.get(f"/images/{engine.digest}/7/5.png").raise_for_status().content)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), wanted[..., 0])
