"""Which names a server answers to."""

from pathlib import Path

import httpx
import pytest

from tests.conftest import Server
from tests.raw import exchange
from tests.serve.behind import asked

OWN = ["localhost", "LOCALHOST:3000", "localhost.", "a.localhost", "127.0.0.1:3000", "[::1]:3000", "192.0.2.7"]
FOREIGN = [
    "example.org",
    "localhost.example.org",
    "notlocalhost",
    "127.0.0.1.example.org",
    "[::1].example.org",
    "",
    'x"><b>',
]


def statuses(file: Path, names: list[str], listens_to: str = "127.0.0.1", **settings: str) -> list[int]:
    async def ask(http: httpx.AsyncClient) -> list[int]:
        return [(await http.get("/model", headers={"Host": name})).status_code for name in names]

    return list(asked(file, ask, listens_to, **settings))


def test_on_the_loopback_a_page_of_others_cannot_point_its_name_here(tiny_generator: Path) -> None:
    assert statuses(tiny_generator, OWN) == [200] * len(OWN)
    assert statuses(tiny_generator, FOREIGN) == [421] * len(FOREIGN)


def test_the_refusal_names_the_setting_and_the_probes_need_no_name(server: Server) -> None:
    answer = httpx.get(f"{server.url}/model", headers={"Host": "example.org"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "unknown_host")
    assert (
        "this server does not answer to the name example.org: if it is right, add it to DRAWWELL_HOSTS (--hosts)"
        in answer.text
    )
    assert httpx.get(f"{server.url}/livez", headers={"Host": "example.org"}).is_success


def test_a_public_server_and_one_with_a_key_answer_to_any_name(
    tiny_generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert statuses(tiny_generator, FOREIGN, "0.0.0.0") == [200] * len(FOREIGN)
    assert statuses(tiny_generator, FOREIGN, "::") == [200] * len(FOREIGN)
    monkeypatch.setenv("DRAWWELL_KEY", "a-key-of-tests")
    assert statuses(tiny_generator, FOREIGN) == [401] * len(FOREIGN)


def test_a_setting_says_which_names_there_are(tiny_generator: Path) -> None:
    names = ["images.example.org", "IMAGES.example.org:80", "example.org", "localhost"]
    assert statuses(tiny_generator, [*names, ""], hosts="other, Images.example.org:80,") == [200, 200, 421, 200, 421]
    assert statuses(tiny_generator, names, "0.0.0.0", hosts="images.example.org") == [200, 200, 421, 200]
    assert statuses(tiny_generator, names, hosts="*") == [200] * 4


@pytest.mark.parametrize("line", [b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host: localhost\r\nhost: evil\r\n"])
def test_no_host_and_two_are_no_request(server: Server, line: bytes) -> None:
    (reply,) = exchange(server, b"GET /model HTTP/1.1\r\n" + line + b"Connection: close\r\n\r\n")
    assert reply.status == 400 and b"a request needs one Host header, and this one has" in reply.body


def test_http_1_0_knows_no_host(server: Server) -> None:
    (reply,) = exchange(server, b"GET /model HTTP/1.0\r\n\r\n")
    assert reply.status == 200
