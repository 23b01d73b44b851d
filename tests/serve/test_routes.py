"""Everything a server answers besides `/generate`."""

from pathlib import Path

import httpx

from drawwell.card import card_from_json
from drawwell.generator_file import read_generator
from drawwell_serve.replies import FORMS
from tests.conftest import Server


def test_the_model_is_the_card_and_the_digest(server: Server, tiny_generator: Path) -> None:
    import msgspec

    model = httpx.get(f"{server.url}/model").json()
    file = read_generator(tiny_generator)
    assert model["digest"] == file.digest
    assert card_from_json(msgspec.json.encode(model["card"])) == file.card


def test_the_page_shows_images_the_card_and_three_commands(server: Server, tiny_generator: Path) -> None:
    answer = httpx.get(server.url)
    assert answer.headers["content-type"].startswith("text/html")
    page = answer.text
    assert "data:image/png;base64," in page
    assert page.count(f"curl {server.url}/generate") == 3
    assert read_generator(tiny_generator).digest in page
    assert "$" not in page.replace("$(", "")


def test_the_host_in_the_page_cannot_carry_html(server: Server) -> None:
    page = httpx.get(server.url, headers={"Host": 'x"><script>alert(1)</script>'}).text
    assert "<script>" not in page


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
        *("seed", "count", "start", "indices", "labels", "truncation", "latents", "interpolate")
    ]
    assert request["additionalProperties"] is False
    answer = document["paths"]["/generate"]["post"]["responses"]
    assert set(answer["200"]["content"]) == set(FORMS)
    assert {"400", "406", "413", "415", "422"} <= set(answer)
    for path in document["paths"]:
        if "get" in document["paths"][path] and "{" not in path:
            assert httpx.get(f"{server.url}{path}").status_code == 200
