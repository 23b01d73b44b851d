"""Web pages of other origins."""

from pathlib import Path

import httpx
import pytest

from drawwell.errors import DrawwellError
from drawwell.http import protocol as wire
from drawwell_serve.settings import Settings
from tests.serve.behind import asked

PAGE = "https://page.example.org"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
    "Access-Control-Request-Private-Network": "true",
}
ALLOWED = "access-control-allow-origin"


def answers(file: Path, cors_origins: str | None) -> list[httpx.Response]:
    """To what a browser asks before a POST, to the POST, and to one with the key."""

    async def ask(http: httpx.AsyncClient) -> list[httpx.Response]:
        headers = {"Origin": PAGE, "Authorization": "Bearer a-key-of-tests"}
        return [
            await http.options("/generate", headers=PREFLIGHT),
            await http.post("/generate", json={"seed": 7}, headers={"Origin": PAGE}),
            await http.post("/generate", json={"seed": 7}, headers=headers),
        ]

    return list(asked(file, ask, cors_origins=cors_origins))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWWELL_KEY", "a-key-of-tests")


@pytest.mark.parametrize("origins", [PAGE, f"https://other.example.org, {PAGE}", "*", "HTTPS://Page.Example.org:443"])
def test_a_page_that_the_setting_names_may_ask_and_read(tiny_generator: Path, origins: str) -> None:
    before, without_key, reply = answers(tiny_generator, origins)
    assert [one.status_code for one in (before, without_key, reply)] == [200, 401, 200]
    assert {one.headers[ALLOWED] for one in (before, without_key, reply)} == {"*" if origins == "*" else PAGE}
    assert "POST" in before.headers["access-control-allow-methods"]
    assert before.headers["access-control-allow-private-network"] == "true"
    assert {"Authorization", "Content-Type", "Range"} <= set(before.headers["access-control-allow-headers"].split(", "))
    readable = set(reply.headers["access-control-expose-headers"].split(", "))
    assert {wire.DIGEST, wire.SEED, "ETag", "Retry-After", "Content-Digest"} <= readable
    assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize("origins", [None, "https://other.example.org"])
def test_no_other_page_may(tiny_generator: Path, origins: str | None) -> None:
    before, _, reply = answers(tiny_generator, origins)
    assert before.is_error
    assert ALLOWED not in before.headers and ALLOWED not in reply.headers


@pytest.mark.parametrize(
    "origins", ["page.example.org", f"{PAGE}/", f"{PAGE},", "null", "https://*/x", "https://a@b", "https://*.a.org"]
)
def test_what_is_no_origin_is_a_sentence(origins: str) -> None:
    with pytest.raises(
        DrawwellError, match=r"is not an origin: write it without a path, for example https://example.org"
    ):
        Settings(cors_origins=origins)
