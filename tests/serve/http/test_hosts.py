"""Which names a server answers to."""

from pathlib import Path

import httpx
import pytest

from drawwell.errors import DrawwellError
from drawwell_serve.settings import Settings
from tests.conftest import Server
from tests.raw import exchange, request
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
        "this server does not answer to the name example.org: if the name is right, add it to DRAWWELL_HOSTS (--hosts)"
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


def test_an_empty_name_is_told_as_such(tiny_generator: Path) -> None:
    async def ask(http: httpx.AsyncClient) -> str:
        return (await http.get("/model", headers={"Host": ""})).text

    assert "does not answer to an empty Host header" in asked(tiny_generator, ask)


@pytest.mark.parametrize(
    "hosts", ["*.example.org", "a.example.org, *.b.example.org", "http://images.example.org", "images.example.org/x"]
)
def test_what_is_no_host_name_is_refused(hosts: str) -> None:
    with pytest.raises(DrawwellError, match=r"is not a host name: write no scheme, path or wildcard"):
        Settings(hosts=hosts)


IMAGE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
FRAME = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
LINK = FRAME | {"Sec-Fetch-Dest": "document"}
FETCH = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": "https://page.example.org"}
SAME_SITE = IMAGE | {"Sec-Fetch-Site": "same-site"}
PAGES: list[dict[str, str]] = [IMAGE, FRAME, LINK, FETCH, SAME_SITE, {}]


def of_pages(file: Path, host: str, listens_to: str = "127.0.0.1", **settings: str) -> list[int]:
    async def ask(http: httpx.AsyncClient) -> list[int]:
        return [(await http.get("/model", headers={"Host": host} | page)).status_code for page in PAGES]

    return list(asked(file, ask, listens_to, **settings))


@pytest.mark.parametrize("host", ["localhost:3000", "127.0.0.1:3000"])
def test_a_page_of_another_site_does_not_make_its_readers_server_draw(tiny_generator: Path, host: str) -> None:
    assert of_pages(tiny_generator, host) == [403, 403, 200, 403, 200, 200]
    origin = "HTTPS://Page.example.org:443"
    assert of_pages(tiny_generator, host, cors_origins=origin) == [403, 403, 200, 200, 200, 200]
    assert of_pages(tiny_generator, host, cors_origins="*") == [200] * len(PAGES)


def test_pages_show_the_images_of_a_public_server(tiny_generator: Path) -> None:
    assert of_pages(tiny_generator, "images.example.org", "0.0.0.0") == [200] * len(PAGES)
    assert of_pages(tiny_generator, "images.example.org", hosts="images.example.org") == [200] * len(PAGES)


def test_the_host_of_an_absolute_url_goes_before_that_of_the_header(server: Server) -> None:
    """Else a proxy on the way and the server would take the request for two servers."""
    for host, status in (("localhost", 200), ("LOCALHOST:80", 200), ("example.org", 421), ("user@example.org", 421)):
        (reply,) = exchange(server, request("GET", f"http://{host}/model"))
        assert reply.status == status, host
    (reply,) = exchange(server, request("GET", "http://localhost/model").replace(b"Host: localhost", b"Host: other"))
    assert reply.status == 200


def test_a_request_for_no_path_is_named_as_it_was_sent(server: Server) -> None:
    (reply,) = exchange(server, request("OPTIONS", "*"))
    assert reply.status == 404 and b"OPTIONS *: not found" in reply.body


def test_a_query_changes_nothing(tiny_generator: Path) -> None:
    async def ask(http: httpx.AsyncClient) -> list[bytes]:
        return [(await http.get(path)).raise_for_status().content for path in ("/model", "/model?", "/model?a=b")]

    assert len(set(asked(tiny_generator, ask))) == 1


@pytest.mark.parametrize("line", [b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host: localhost\r\nhost: evil\r\n"])
def test_no_host_and_two_are_no_request(server: Server, line: bytes) -> None:
    (reply,) = exchange(server, b"GET /model HTTP/1.1\r\n" + line + b"Connection: close\r\n\r\n")
    assert reply.status == 400 and b"a request needs one Host header, and this one has" in reply.body


def test_http_1_0_knows_no_host(server: Server) -> None:
    (reply,) = exchange(server, b"GET /model HTTP/1.0\r\n\r\n")
    assert reply.status == 200
