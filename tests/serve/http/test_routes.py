"""Everything a server answers besides `/generate`."""

import asyncio
import html
import re
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
import numpy as np
import schemathesis

from drawwell.addresses.latents import labels, latents, members
from drawwell.files.card import card_from_json
from drawwell.files.certified import Accuracy, Certified, Uplift
from drawwell.files.generator_file import read_generator
from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.http.app import create_app
from drawwell_serve.http.card_tables import TABLED
from drawwell_serve.http.formats import FORMATS
from drawwell_serve.http.openapi import document
from drawwell_serve.settings import Settings
from tests import graphs
from tests.conftest import Server
from tests.serve.behind import asked


def answers_of(file: Path, *paths: str) -> list[httpx.Response]:
    """What a server of this file answers, without its process."""
    app = create_app()
    app.state.service = ImageService(Settings(str(file), threads=1))

    async def get() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return [await client.get(path) for path in paths]

    try:
        return asyncio.run(get())
    finally:
        app.state.service.close()


def check_model(answer: httpx.Response) -> None:
    """That ``GET /model`` is as the OpenAPI document says, which describes every field that there is."""
    schemathesis.openapi.from_dict(document())["/model"]["GET"].validate_response(answer)
    schema = document()["paths"]["/model"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(schema["required"]) <= set(answer.json()) <= set(schema["properties"])


def test_the_model_is_the_card_and_the_digest(server: Server, tiny_generator: Path) -> None:
    answer = httpx.get(f"{server.url}/model")
    model = answer.json()
    file = read_generator(tiny_generator)
    assert model["digest"] == file.digest
    assert card_from_json(msgspec.json.encode(model["card"])) == file.card
    assert model["in_words"] == file.card.in_words()
    check_model(answer)


def test_the_model_and_the_page_tell_the_measures(tmp_path: Path) -> None:
    quality = replace(graphs.QUALITY, extractor="<script>")
    file = graphs.write(tmp_path / "measured.onnx", graphs.plain_model(), graphs.card(quality=quality))
    model, page = answers_of(file, "/model", "/")
    measures = model.json()["card"]["quality"]["measures"]
    assert measures["kid"] == {"value": 0.00432, "real": 0.00002, "images": 10_000, "spread": 0.00031}
    assert card_from_json(msgspec.json.encode(model.json()["card"])).quality == quality
    check_model(model)
    for name, fact in read_generator(file).card.in_words().items():
        assert model.json()["in_words"][name] == fact
        assert (f"<dt>{html.escape(name)}</dt><dd>{html.escape(fact)}</dd>" in page.text) is (name not in TABLED)
    assert "<script>" not in page.text
    assert '<th scope="row">1,000 x KID</th><td>4.3</td><td>0.0</td>' in page.text
    assert '<th scope="row">Recall</th><td>55.1%</td><td>79.0%</td>' in page.text


def test_the_page_tells_whether_drawn_images_help(tmp_path: Path) -> None:
    worse = Uplift(0.05, 500, Accuracy(0.7, 0.01), Accuracy(0.6, 0.02), 0.5, False, "<b>", -0.2)
    certificate = Certified(
        "data", "<test>", "Saw all.", "Worth little.", Accuracy(0.5, 0.01), (worse,), 5, 9000, 10_000
    )
    file = graphs.write(tmp_path / "certified.onnx", graphs.plain_model(), graphs.card(certificate=certificate))
    (page,) = answers_of(file, "/")
    cells = ("70.00 ± 1.00 %", "60.00 ± 2.00 %", "-10.00", "no", "&lt;b&gt;, -20.00")
    row = "".join(f"<td>{cell}</td>" for cell in cells)
    assert f'<tr><th scope="row">500 (5 %)</th>{row}</tr>' in page.text
    assert "Accuracy on 10,000 images of &lt;test&gt;" in page.text
    assert "DRAWN IMAGES DO NOT HELP" in page.text


def test_what_is_not_measured_is_said(server: Server) -> None:
    assert httpx.get(f"{server.url}/model").json()["card"]["quality"] is None
    assert "<dt>Quality</dt><dd>not measured</dd>" in httpx.get(server.url).text


def test_the_page_shows_images_the_card_and_three_commands(server: Server, tiny_generator: Path) -> None:
    answer = httpx.get(server.url)
    assert answer.headers["content-type"].startswith("text/html")
    page = answer.text
    for picture in re.findall('<img src="(images/.*?)"', page)[:3]:
        assert httpx.get(f"{server.url}/{picture}").headers["content-type"] == "image/png"
    assert page.count(f"curl {server.url}/generate") == 3
    assert read_generator(tiny_generator).digest in page
    assert "$" not in page.replace("$(", "")


def page(file: Path, **headers: str) -> str:
    """The page of a public server, to a client or a proxy that sends these."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return str(asked(file, lambda http: http.get("/", headers=named), "0.0.0.0").text)


def test_the_host_in_the_page_cannot_carry_html(tiny_generator: Path) -> None:
    assert "<script>" not in page(tiny_generator, Host='x"><script>alert(1)</script>')


def test_the_page_names_the_server_as_its_reader_does(tiny_generator: Path) -> None:
    for prefix in ("/wells/clothes", "wells/clothes/"):
        text = page(tiny_generator, Host="images.example.org", X_Forwarded_Prefix=prefix)
        assert text.count("curl http://images.example.org/wells/clothes/generate") == 3
    for wrong in ("//evil.org", "/a b", "/'; rm -rf", "/<script>", "/a//b", "/" + "a" * 300):
        assert page(tiny_generator, Host="h", X_Forwarded_Prefix=wrong).count("curl http://h/generate") == 3


def test_a_wrong_method_is_told_the_right_one(server: Server) -> None:
    answer = httpx.get(f"{server.url}/generate")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.json()["error"]["message"].startswith("GET /generate: method not allowed, use POST;")
    wrong = httpx.post(f"{server.url}/model").json()["error"]["message"]
    assert wrong.startswith("POST /model: method not allowed, use GET, HEAD;")


def test_the_probes_and_metrics_are_where_bentomls_are(server: Server) -> None:
    for path in ("livez", "readyz", "healthz"):
        assert httpx.get(f"{server.url}/{path}").status_code == 200
    httpx.post(f"{server.url}/generate", json={"seed": 1})
    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'bentoml_service_request_total{endpoint="/generate",http_response_code="200"' in metrics


def test_the_openapi_document_describes_what_is_answered(server: Server) -> None:
    document = httpx.get(f"{server.url}/docs.json").json()
    assert document["openapi"].startswith("3.")
    assert {"/generate", "/model", "/", "/livez", "/readyz", "/metrics"} <= set(document["paths"])
    request = document["components"]["schemas"]["GenerateRequest"]
    assert list(request["properties"]) == [
        *(
            "seed",
            "count",
            "start",
            "indices",
            "labels",
            "per_class",
            "truncation",
            "spread",
            "latents",
            "member",
            "interpolate",
        )
    ]
    assert request["additionalProperties"] is False
    answer = document["paths"]["/generate"]["post"]["responses"]
    assert set(answer["200"]["content"]) == set(FORMATS)
    assert {"400", "406", "413", "415", "422"} <= set(answer)
    for path in document["paths"]:
        if "get" in document["paths"][path] and "{" not in path:
            assert httpx.get(f"{server.url}{path}").status_code == 200


def test_the_latents_of_an_address(tmp_path: Path) -> None:
    file = graphs.write_mixture(tmp_path / "mixture.onnx", 3, "a", "b")
    digest, indices = read_generator(file).digest, range(40)
    answers = answers_of(file, *(f"/latents/{digest}/7/{index}.json" for index in indices))
    several = [answer.json() for answer in answers]
    schemathesis.openapi.from_dict(document())["/latents/{digest}/{seed}/{index}.json"]["GET"].validate_response(
        answers[0]
    )
    np.testing.assert_array_equal(
        np.array([one["latents"] for one in several], np.float32), latents(7, indices, graphs.DIM)
    )
    assert [one["label"] for one in several] == labels(7, indices, 2, graphs.DIM).tolist()
    assert [one["member"] for one in several] == members(7, indices, 3, graphs.DIM).tolist()
    assert {len(one["directions"]) for one in several} == {0}, "these graphs have no stem"


def test_the_latents_of_a_plain_generator_without_classes(tmp_path: Path) -> None:
    file = graphs.write(tmp_path / "plain.onnx", graphs.plain_model())
    (answer, other) = answers_of(
        file, f"/latents/{read_generator(file).digest}/7/0.json", f"/latents/{'0' * 64}/7/0.json"
    )
    assert (answer.json()["label"], answer.json()["member"]) == (None, None)
    assert other.status_code == 404 and "not from another" in other.json()["error"]["message"]
