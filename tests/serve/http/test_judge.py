"""`POST /judge`: in memory with graphs made by hand, and of a real server with a discriminator that was really trained."""

import io
import random
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from drawwell import Engine, Judge
from drawwell.errors import DrawwellError, ProviderError
from drawwell.files.discriminator_card import KnownLogits
from drawwell.files.generator_file import read_generator
from drawwell.formats.pictures import fit_all
from drawwell_serve.drawing import decoding
from drawwell_serve.http import picture_body
from drawwell_serve.processes.snapshot import take_snapshot
from drawwell_serve.settings import Settings
from tests import graphs
from tests.bombs import jpeg_after_filling, jpeg_of_comments, jpeg_of_scans, png_bomb, png_of_chunks, webp_bomb
from tests.conftest import START_SECONDS, Server, StartServer
from tests.serve import behind

NPY = {"Content-Type": "application/x-npy"}


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    """A generator with a discriminator beside it."""
    file = graphs.write_labelled(tmp_path / "generator.onnx", "dark", "light")
    graphs.write_discriminator(tmp_path / "discriminator.onnx", "dark", "light", generator=read_generator(file).digest)
    return file


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind)
    return stream.getvalue()


def flat(level: int, kind: str = "PNG") -> bytes:
    return encoded(np.full((50, 90), level, np.uint8), kind)


def post(file: Path, content: bytes, kind: str, query: str = "", **settings: Any) -> httpx.Response:
    async def ask(http: httpx.AsyncClient) -> httpx.Response:
        return await http.post(f"/judge{query}", content=content, headers={"Content-Type": kind})

    answer: httpx.Response = behind.asked(file, ask, **settings)
    return answer


def npy(images: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, images)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_of_any_size_is_judged(generator: Path, kind: str) -> None:
    answer = post(generator, flat(250, kind), f"image/{kind.lower()}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    with Judge(generator.with_name("discriminator.onnx")) as judge:
        assert (body["digest"], body["generator"], body["count"]) == (judge.digest, read_generator(generator).digest, 1)
    (picture,) = body["pictures"]
    assert picture["logit"] == pytest.approx(1250, abs=3)
    assert (picture["label"], picture["class"], picture["p_real"]) == (1, "light", 1)
    assert 0 < picture["percentile_real"] < picture["percentile_drawn"] < 100
    assert picture["in_words"]["Class"] == "light"
    assert body["about"] == {"held_out_pictures": 2, "drawn_pictures": 2, "roc_auc": 0.75, "class_accuracy": 0.75}


def test_several_pictures_come_as_multipart_in_order_and_by_name(generator: Path) -> None:
    async def ask(http: httpx.AsyncClient) -> httpx.Response:
        files = [("picture", (f"{level}.png", flat(level), "image/png")) for level in (3, 250, 90)]
        return await http.post("/judge", files=files)

    body = behind.asked(generator, ask).json()
    assert [picture["name"] for picture in body["pictures"]] == ["3.png", "250.png", "90.png"]
    assert [picture["logit"] for picture in body["pictures"]] == [3, 1250, 90]


def test_names_of_parts_may_be_long_quoted_and_in_any_case(generator: Path) -> None:
    name = 300 * "é" + ' "x".png'
    head = f'content-disposition: FORM-DATA; NAME="p"; FILENAME="{name.replace(chr(34), chr(92) + chr(34))}"\r\n\r\n'
    answer = post(generator, multipart(head.encode() + flat(3)), "Multipart/Form-Data; BOUNDARY=x")
    assert answer.status_code == 200, answer.text
    assert answer.json()["pictures"][0]["name"] == name


def test_an_array_is_judged_as_it_is(generator: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, *graphs.SHAPE)).astype(np.uint8)
    body = post(generator, npy(images), "application/x-npy").json()
    with Judge(generator.with_name("discriminator.onnx")) as judge:
        assert [one["logit"] for one in body["pictures"]] == [one.logit for one in judge.judge(images)]


def test_without_a_discriminator_the_route_says_how_to_get_one(generator: Path) -> None:
    generator.with_name("discriminator.onnx").unlink()
    answer = post(generator, flat(3), "image/png")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_discriminator")
    assert "drawwell export RUN writes discriminator.onnx beside generator.onnx" in answer.json()["error"]["message"]


@pytest.mark.parametrize("size", [(2, 3), (9, 7), (1, 40)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_array_of_another_size_is_fitted_as_training_fits_it(
    generator: Path, size: tuple[int, int], channels: int
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, *size, channels)).astype(np.uint8)
    fitted = fit_all(images, graphs.SHAPE)
    body = post(generator, npy(images), "application/x-npy").json()
    with Judge(generator.with_name("discriminator.onnx")) as judge:
        assert [one["logit"] for one in body["pictures"]] == [one.logit for one in judge.judge(fitted)]


def test_a_label_may_be_given(generator: Path) -> None:
    for label in ("dark", "0"):
        body = post(generator, flat(250), "image/png", f"?label={label}").json()
        (picture,) = body["pictures"]
        assert (picture["logit"], picture["class"]) == (250, "dark")
    with Judge(generator.with_name("discriminator.onnx")) as judge:
        (expected,) = judge.judge(np.full((1, *graphs.SHAPE), 250, np.uint8), "dark")
    assert picture["percentile_drawn"] == expected.percentile_drawn
    assert body["about"]["held_out_pictures"] == 300, "the scale of given labels"
    for query, sentence in (("?label=blue", "there is no class 'blue'"), ("?lable=dark", "the query takes one field")):
        answer = post(generator, flat(250), "image/png", query)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_field")
        assert sentence in answer.json()["error"]["message"]


def spoil(file: Path, what: str) -> None:
    if what == "damaged":
        file.write_bytes(file.read_bytes()[:-3])
    elif what == "empty":
        file.write_bytes(b"")
    elif what == "of another generator":
        graphs.write_discriminator(file, "dark", "light")
    else:
        generator = read_generator(file.with_name("generator.onnx")).digest
        wrong = KnownLogits(((1.0, 1.0, 1.0),) * 4, 1e-3)
        graphs.write_discriminator(file, "dark", "light", generator=generator, known_logits=wrong)


@pytest.mark.parametrize("what", ["damaged", "empty", "of another generator", "of wrong logits"])
def test_a_discriminator_that_cannot_be_used_is_logged_and_images_are_served(
    generator: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(generator.with_name("discriminator.onnx"), what)

    async def ask(http: httpx.AsyncClient) -> tuple[httpx.Response, list[int], Any]:
        judged = await http.post("/judge", content=flat(3), headers={"Content-Type": "image/png"})
        drawn, ready = await http.post("/generate", json={"seed": 7}), await http.get("/readyz")
        return judged, [drawn.status_code, ready.status_code], (await http.get("/model")).json()["judge"]

    judged, others, about = behind.asked(generator, ask)
    sentence = "the server cannot judge pictures now; its log says why"
    assert (judged.status_code, judged.json()["error"]) == (503, {"code": "judge_failed", "message": sentence})
    assert int(judged.headers["Retry-After"]) > 0
    assert (others, about) == ([200, 200], {"error": sentence})
    assert "pictures are not judged" in caplog.text


@pytest.mark.parametrize("what", ["damaged", "of another generator", "of wrong logits"])
def test_a_bad_file_beside_the_generator_refuses_no_start_and_a_named_one_does(
    generator: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = generator.with_name("discriminator.onnx")
    spoil(file, what)
    content = take_snapshot(Settings(str(generator), threads=1)).discriminator
    assert content is not None
    if what == "of wrong logits":  # which the workers find out
        assert content.path.read_bytes() == file.read_bytes()
        return
    assert content.path.read_bytes() == b""
    assert f"pictures are not judged: {file}: " in caplog.text
    with pytest.raises(DrawwellError, match=r"belongs to the generator 0000|is no drawwell discriminator"):
        take_snapshot(Settings(str(generator), discriminator=str(file), threads=1))


def test_a_judge_that_fails_later_is_a_503_until_its_known_pictures_are_right(
    generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ProviderError("judging failed (/secret/path)")

    async def ask(http: httpx.AsyncClient) -> list[Any]:
        async def judged() -> Any:
            answer = await http.post("/judge", content=flat(3), headers={"Content-Type": "image/png"})
            return answer.status_code, answer.json().get("error", {}).get("code")

        seen = [await judged()]
        with monkeypatch.context() as patch:
            patch.setattr(Judge, "logits", fail)
            service = http._transport.app._app.state.service  # type: ignore[attr-defined]
            run, service.judging.work.run = service.judging.work.run, fail
            seen += [await judged(), await judged()]
            seen += [(await http.get(path)).status_code for path in ("/readyz", "/livez")]
            seen += [(await http.post("/generate", json={"seed": 7})).status_code]
            seen += ["error" in (await http.get("/model")).json()["judge"]]
        service.judging.work.run = run
        return [*seen, await judged(), "error" in (await http.get("/model")).json()["judge"]]

    fails = (503, "judge_failed")
    assert behind.asked(generator, ask) == [(200, None), fails, fails, 200, 200, 200, True, (200, None), False]


def test_the_model_says_that_there_is_a_judge(generator: Path) -> None:
    async def ask(http: httpx.AsyncClient) -> Any:
        return (await http.get("/model")).json()["judge"]

    with Judge(generator.with_name("discriminator.onnx")) as judge:
        assert behind.asked(generator, ask) == {"digest": judge.digest, "in_words": judge.card.in_words()}


def multipart(*parts: bytes, end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end


FILE = b'Content-Disposition: form-data; name="p"; filename="a.png"\r\n\r\n'
FORM = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("content", "kind", "status", "code", "sentence"),
    [
        (b"", "image/png", 400, "empty_body", "the body is empty"),
        (
            b"no picture",
            "image/png",
            422,
            "invalid_picture",
            "the picture is no picture in one of the formats PNG, JPEG",
        ),
        (flat(3)[:60], "image/png", 422, "invalid_picture", "the picture cannot be decoded"),
        (png_bomb(), "image/png", 422, "invalid_picture", "the picture has too many pixels"),
        (webp_bomb(), "image/webp", 422, "invalid_picture", "the picture has too many pixels"),
        (png_of_chunks(20_000), "image/png", 422, "invalid_picture", "the picture has more than 16,384 chunks"),
        (jpeg_of_scans(64, 500), "image/jpeg", 422, "invalid_picture", "scans, and 64 are decoded"),
        (jpeg_of_comments(3_000_000), "image/jpeg", 422, "invalid_picture", "more than 1,000 segments"),
        (jpeg_after_filling(15_000_000), "image/jpeg", 422, "invalid_picture", "more than 1,000 segments"),
        (
            encoded(np.zeros((9, 9), np.uint8), "GIF"),
            "image/png",
            422,
            "invalid_picture",
            "is no picture in one of the formats",
        ),
        (flat(3), "image/gif", 415, "unsupported_media_type", "not image/gif"),
        (flat(3), "application/json", 415, "unsupported_media_type", "send pictures with Content-Type image/png"),
        (multipart(FILE + b"bad"), FORM, 422, "invalid_picture", "the picture 'a.png' is no picture"),
        (multipart(FILE + flat(3), end=b""), FORM, 400, "malformed_multipart", "its last boundary is missing"),
        (multipart(b"no headers"), FORM, 400, "malformed_multipart", "a part has no headers"),
        (
            multipart(b'Content-Disposition: form-data; name="a"\r\n\r\n7'),
            FORM,
            422,
            "invalid_field",
            "a part of the body is no file",
        ),
        (multipart(), FORM, 422, "invalid_field", "the body holds no picture"),
        (multipart(*[FILE] * 257), FORM, 422, "invalid_field", "at most 256 pictures"),
        (flat(3), "multipart/form-data", 400, "malformed_multipart", "Content-Type names no boundary"),
        (b"no array", "application/x-npy", 422, "invalid_picture", "the body is no npy file"),
        (
            npy(np.zeros((1, 3, 2, 2), np.uint8)),
            "application/x-npy",
            422,
            "invalid_picture",
            "must be uint8 [N, H, W, C]",
        ),
        (npy(np.zeros((1, 0, 2, 1), np.uint8)), "application/x-npy", 422, "invalid_picture", "not uint8 [1, 0, 2, 1]"),
        (npy(np.zeros((1, 2, 3, 1))), "application/x-npy", 422, "invalid_picture", "not float64"),
        (npy(np.zeros((0, 2, 3, 1), np.uint8)), "application/x-npy", 422, "invalid_picture", "1 to 4,096 images"),
        (npy(np.zeros((9, 2, 3, 1), np.uint8))[:-1], "application/x-npy", 422, "invalid_picture", "is cut off"),
    ],
)
def test_what_cannot_be_judged_is_a_sentence(
    generator: Path, content: bytes, kind: str, status: int, code: str, sentence: str
) -> None:
    answer = post(generator, content, kind)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert sentence in error["message"]


def test_large_bodies_and_many_waiting_ones_are_refused(generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = post(generator, bytes(picture_body.MAX_BODY_BYTES + 1), "image/png")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    waiting = decoding.Decoding(graphs.SHAPE)
    monkeypatch.setattr(decoding, "_ALL_BYTES", 100)
    too_many = pytest.raises(DrawwellError, match="too many pictures wait to be decoded")
    with waiting.holding(500), too_many, waiting.holding(1):  # a single one is always taken
        pass
    with waiting.holding(60), waiting.holding(40):
        pass
    waiting.close()


def test_accept_is_bounded_and_must_allow_json(generator: Path) -> None:
    async def ask(http: httpx.AsyncClient) -> list[int]:
        headers = {"Content-Type": "image/png"}
        return [
            (await http.post("/judge", content=flat(3), headers=headers | {"Accept": accept})).status_code
            for accept in ("text/html", "a/b," * 2000)
        ]

    assert behind.asked(generator, ask) == [406, 400]


def test_a_server_with_a_key_judges_for_those_who_have_it(generator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWWELL_KEY", "long-enough")

    async def ask(http: httpx.AsyncClient) -> list[int]:
        png = {"Content-Type": "image/png"}
        both = png, png | {"Authorization": "Bearer long-enough"}
        return [(await http.post("/judge", content=flat(3), headers=headers)).status_code for headers in both]

    assert behind.asked(generator, ask) == [401, 200]


def mutated(chance: random.Random, content: bytes) -> bytes:
    """A picture that is cut, flipped, repeated, filled with rubbish, or all of these."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        first = chance.randrange(len(changed) or 1)
        match chance.randrange(5):
            case 0:
                del changed[first:]
            case 1:
                for _ in range(chance.randint(1, 20)):
                    if changed:
                        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            case 2:
                changed[first:first] = changed[first : first + chance.randint(1, 200)] * chance.randint(1, 5)
            case 3:
                changed[first : first + chance.randint(0, 9)] = chance.randbytes(chance.randint(0, 9))
            case 4:
                del changed[first : first + chance.randint(1, 200)]
    return bytes(changed)


def test_of_a_thousand_mutated_pictures_none_is_a_failure_of_the_server(server: Server, tiny_run: Path) -> None:
    chance, noise = random.Random(7), np.random.default_rng(7)
    image = noise.integers(0, 256, (40, 30, 3)).astype(np.uint8)
    pictures = {f"image/{kind.lower()}": encoded(image, kind) for kind in ("PNG", "JPEG", "WEBP")}
    pictures["application/x-npy"] = npy(noise.integers(0, 256, (5, 28, 28, 1)).astype(np.uint8))
    pictures[FORM] = multipart(FILE + encoded(image), FILE + encoded(image, "JPEG"))
    statuses = []
    with httpx.Client(base_url=server.url, timeout=60) as http, Judge(tiny_run / "discriminator.onnx") as judge:
        for _ in range(1000):
            kind = chance.choice([*pictures])
            answer = http.post("/judge", content=mutated(chance, pictures[kind]), headers={"Content-Type": kind})
            statuses.append(answer.status_code)
            assert answer.status_code == 200 or 400 <= answer.status_code < 500, answer.text
            assert "message" in answer.json().get("error", {"message": ""})
            assert "Traceback" not in answer.text
        whole = http.post("/judge", content=pictures["application/x-npy"], headers=NPY).json()
        images = np.load(io.BytesIO(pictures["application/x-npy"]))
        assert [one["logit"] for one in whole["pictures"]] == pytest.approx([one.logit for one in judge.judge(images)])
    assert {200, 422} <= set(statuses)
    assert "Traceback" not in server.log.read_text()


def test_pictures_and_images_are_counted_in_one_queue(server: Server, tiny_generator: Path) -> None:
    with Engine(tiny_generator) as engine:
        images = engine.generate(7, 200).images
    drawn = httpx.post(f"{server.url}/judge", content=npy(images), headers=NPY, timeout=60).json()
    percentiles = [picture["percentile_drawn"] for picture in drawn["pictures"]]
    assert 30 < np.mean(percentiles) < 70, "drawn pictures lie among drawn pictures"
    metrics = httpx.get(f"{server.url}/metrics").text
    counted = next(line for line in metrics.splitlines() if line.startswith("drawwell_judged_total "))
    assert float(counted.split()[1]) >= 200


def test_a_repaired_discriminator_is_taken_at_a_sighup(start_server: StartServer, generator: Path) -> None:
    file = generator.with_name("discriminator.onnx")
    whole = file.read_bytes()
    spoil(file, "damaged")
    server = start_server(generator)

    def judged() -> httpx.Response:
        return httpx.post(f"{server.url}/judge", content=flat(250), headers={"Content-Type": "image/png"}, timeout=60)

    assert judged().json()["error"]["code"] == "judge_failed"
    assert httpx.post(f"{server.url}/generate", json={"seed": 7}).status_code == 200
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert f"pictures are not judged: {file}: " in server.log.read_text()
    file.write_bytes(whole)
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + START_SECONDS
    while judged().status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert judged().json()["pictures"][0]["class"] == "light"
