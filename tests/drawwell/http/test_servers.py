"""Several servers as one, pinned generators, keys by host: for both clients."""

import pickle
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import msgspec
import pytest

import drawwell
from drawwell.errors import RequestError, ResponseError, ServerError, UnavailableError, UnreachableError
from drawwell.files.card import ModelCard
from drawwell.http.client import Client
from drawwell.http.exchange import REQUEST_IMAGES
from tests.async_client import AsyncAsClient
from tests.conftest import free_port
from tests.scripted import CARD, DIGEST, Handler, Reply, Scripted, body_of, headers_of, pixels, right, serving

OTHER_DIGEST = "cd" * 32


@pytest.fixture(autouse=True, params=[Client, AsyncAsClient], ids=["Client", "AsyncClient"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of this module is a test of both clients."""
    monkeypatch.setattr(sys.modules[__name__], "Client", request.param)
    monkeypatch.delenv("DRAWWELL_KEY", raising=False)
    monkeypatch.delenv("DRAWWELL_RETRY_FOR", raising=False)


@pytest.fixture
def two() -> Iterator[tuple[Scripted, Scripted]]:
    with serving() as first, serving() as second:
        yield first, second


def urls(servers: tuple[Scripted, ...]) -> list[str]:
    return [server.url for server in servers]


def swap(server: Scripted, digest: str = OTHER_DIGEST, card: ModelCard = CARD) -> None:
    """The server has another generator from now on."""
    server.model = lambda handler: handler.reply(
        200, msgspec.json.encode({"digest": digest, "card": card, "max_count": 1_000_000})
    )
    server.script = [lambda handler, asked: handler.reply(200, body_of(pixels(asked)), headers_of(asked, digest))]


def refuse(code: int) -> Reply:
    return lambda handler, _: handler.reply(code, b'{"error": {"message": "because"}}')


def drawn(client: Any, start: int = 0) -> list[int]:
    images: list[int] = client.generate(7, 3, start=start).images[:, 0, 0, 0].tolist()
    return images


@pytest.mark.parametrize("code", [500, 503])
def test_the_next_server_is_asked_at_once_and_the_first_one_later(
    two: tuple[Scripted, Scripted], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawwell.http.servers._REST_SECONDS", 0.0)
    first, second = two
    with closing(Client(urls(two), retry_for=0)) as client:
        first.script = [refuse(code), right]
        assert drawn(client) == [0, 1, 2]
        assert (len(first.asked), len(second.asked)) == (1, 1)
        assert drawn(client, 3) == [3, 4, 5]
        assert (len(first.asked), len(second.asked)) == (2, 1)


def test_a_server_that_failed_rests(two: tuple[Scripted, Scripted]) -> None:
    first, second = two
    with closing(Client(urls(two), retry_for=0)) as client:
        first.script = [refuse(503)]
        for start in range(5):
            assert drawn(client, start) == [start, start + 1, start + 2]
    assert (len(first.asked), len(second.asked)) == (1, 5)


def test_a_server_that_is_down_at_first_is_no_hindrance(two: tuple[Scripted, Scripted]) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    with closing(Client([down, two[1].url], retry_for=0)) as client:
        assert drawn(client) == [0, 1, 2]


def test_an_error_names_all_servers(two: tuple[Scripted, Scripted]) -> None:
    first, second = two
    with closing(Client(urls(two), retry_for=0)) as client:
        first.script, second.script = [refuse(503)], [refuse(429)]
        with pytest.raises(UnavailableError, match=f"{first.url}: answered 503.*; {second.url}: answered 429"):
            drawn(client)
    gone = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    with pytest.raises(UnreachableError, match=f"{gone[0]}: .*refused.*; {gone[1]}: .*refused"):
        Client(gone, retry_for=0)


def test_a_mistake_of_the_caller_goes_to_no_other_server(two: tuple[Scripted, Scripted]) -> None:
    first, second = two
    with closing(Client(urls(two))) as client:
        first.script = [refuse(400)]
        with pytest.raises(RequestError, match="because"):
            drawn(client)
    assert not second.asked


def test_all_servers_must_have_one_generator(two: tuple[Scripted, Scripted]) -> None:
    swap(two[1])
    with pytest.raises(ResponseError, match=f"{DIGEST}; .*{OTHER_DIGEST}: the servers must have one generator"):
        Client(urls(two))
    with closing(Client(urls(two), digest=OTHER_DIGEST)) as client:
        assert (client.digest, drawn(client)) == (OTHER_DIGEST, [0, 1, 2])
    assert not two[0].asked, "it has another generator"


def test_a_pinned_job_outlives_a_swap_where_a_server_has_the_old_generator(two: tuple[Scripted, Scripted]) -> None:
    with closing(Client(urls(two), retry_for=0)) as client:
        swap(two[0])
        batch = client.generate(7, 2 * REQUEST_IMAGES)
        assert batch.digest == DIGEST
        assert len(two[1].asked) == 2
        swap(two[1])
        with pytest.raises(ResponseError, match=r"now serves .* open it again; .* open it again") as raised:
            drawn(client)
        assert all(url in str(raised.value) for url in urls(two))


def test_a_pinned_digest_that_no_server_has_is_told() -> None:
    with (
        serving() as server,
        pytest.raises(
            ResponseError, match=f"now serves the generator {DIGEST}, not {OTHER_DIGEST}, which digest= names"
        ),
    ):
        Client(server.url, digest=OTHER_DIGEST, retry_for=0)


def other(handler: Handler, asked: dict[str, Any]) -> None:
    """The reply of a replica that has another generator."""
    handler.reply(200, body_of(pixels(asked)), headers_of(asked, OTHER_DIGEST))


def test_a_pinned_job_outlives_new_replicas_behind_one_url() -> None:
    digests = [OTHER_DIGEST, DIGEST]

    def in_turns(handler: Handler) -> None:
        digest = digests.pop(0) if len(digests) > 1 else digests[0]
        handler.reply(200, msgspec.json.encode({"digest": digest, "card": CARD, "max_count": 1_000_000}))

    with serving() as server:
        server.model = in_turns
        with closing(Client(server.url, digest=DIGEST)) as client:
            assert server.paths == ["/model"] * 2
            server.script = [other, right, right, other, other, right]
            images = client.generate(7, 3 * REQUEST_IMAGES).images[:, 0, 0, 0]
            travelled = pickle.loads(pickle.dumps(client))
            server.script = [other, right]
            with closing(travelled):
                assert drawn(travelled) == [0, 1, 2]
    assert images.tolist() == [index % 256 for index in range(3 * REQUEST_IMAGES)]


def test_a_pinned_job_ends_when_no_replica_has_its_generator_for_as_long_as_it_waits() -> None:
    with serving() as server, closing(Client(server.url, digest=DIGEST, retry_for=1.5)) as client:
        server.script = [other]
        with pytest.raises(
            ResponseError, match=f"now serves the generator {OTHER_DIGEST}, not {DIGEST}, which digest="
        ):
            drawn(client)
        assert len(server.asked) > 1


def test_a_job_that_pins_no_digest_ends_at_the_first_reply_of_another_generator_wherever_it_travels() -> None:
    with serving() as server, closing(Client(server.url)) as client, closing(pickle.loads(pickle.dumps(client))) as far:
        for one in (client, far):
            server.script = [other, right]
            server.asked.clear()
            with pytest.raises(ResponseError, match="open it again"):
                drawn(one)
            assert len(server.asked) == 1


def test_a_travelled_client_keeps_its_generator() -> None:
    with serving() as server, closing(Client(server.url, retry_for=0)) as client:
        pickled = pickle.dumps(client)
        swap(server)
        with pytest.raises(ResponseError, match="now serves"):
            pickle.loads(pickled)


def test_pin_false_goes_over_to_the_new_generator() -> None:
    with serving() as server, closing(Client(server.url, retry_for=0, pin=False)) as client:
        assert client.generate(7, 2).digest == DIGEST
        swap(server)
        batch = client.generate(7, 2)
        assert (batch.digest, client.digest, len(batch)) == (OTHER_DIGEST, OTHER_DIGEST, 2)


def test_a_batch_across_a_swap_is_of_one_generator() -> None:
    with serving() as server, closing(Client(server.url, retry_for=0, pin=False)) as client:

        def then_swap(handler: Handler, asked: dict[str, Any]) -> None:
            swap(server)
            right(handler, asked)

        server.script = [then_swap, right]
        batch = client.generate(7, REQUEST_IMAGES + 1)
        assert batch.digest == OTHER_DIGEST
        starts = [asked["start"] for _, asked in server.asked]
        assert starts == [0, REQUEST_IMAGES, 0, REQUEST_IMAGES]


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"digest": "abc"}, "digest must be a SHA-256, 64 hex digits in small letters, not 'abc'"),
        ({"digest": 7}, "digest must be a SHA-256"),
        ({"digest": DIGEST, "pin": False}, "give one of the two"),
        ({"key": {"http://elsewhere": "k"}}, "http://elsewhere is none of the servers"),
    ],
)
def test_wrong_arguments_are_refused(named: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        Client("http://127.0.0.1:9", **named)


def test_lists_that_are_none_are_refused() -> None:
    wrong: list[Any] = [[], [7], None]
    for urls in wrong:
        with pytest.raises(RequestError, match="url must be the URL of a server, or a list of at least one"):
            Client(urls)
    with pytest.raises(RequestError, match="fashion: a list names servers, by URLs that begin with http"):
        drawwell.open(["http://127.0.0.1:9", "fashion"])


def keys_sent(server: Scripted) -> list[str | None]:
    """Fills with the key of each request from now on."""
    sent: list[str | None] = []
    answer = server.model

    def keep(handler: Handler, asked: dict[str, Any]) -> None:
        sent.append(handler.headers["Authorization"])
        right(handler, asked)

    def keep_model(handler: Handler) -> None:
        sent.append(handler.headers["Authorization"])
        answer(handler)

    server.script, server.model = [keep], keep_model
    return sent


def test_each_server_is_sent_its_own_key(two: tuple[Scripted, Scripted]) -> None:
    first, second = map(keys_sent, two)
    with closing(Client(urls(two), key={two[1].url: "of-the-second"}, retry_for=0)) as client:
        two[0].script = [refuse(500)]
        drawn(client)
    assert set(first) == {None}
    assert set(second) == {"Bearer of-the-second"}


def test_a_key_that_does_not_say_for_which_host_goes_to_none(
    two: tuple[Scripted, Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [keys_sent(server) for server in two]
    with pytest.raises(RequestError, match=r"^key: names no server, and there are several: give key=\{URL: KEY"):
        Client(urls(two), key="secret")
    monkeypatch.setenv("DRAWWELL_KEY", "secret")
    with pytest.raises(RequestError, match=r"^DRAWWELL_KEY: names no server"):
        Client(urls(two))
    assert sent == [[], []]
    with closing(Client([two[0].url, f"{two[0].url}/"], retry_for=0)):
        assert set(sent[0]) == {"Bearer secret"}, "one host, one key"


def test_a_redirect_takes_no_key_along(two: tuple[Scripted, Scripted]) -> None:
    with closing(Client(two[0].url, key="secret", retry_for=0)) as client:
        two[0].script = [lambda handler, _: handler.reply(307, b"", {"Location": f"{two[1].url}/generate"})]
        with pytest.raises(ResponseError, match="it redirects to"):
            drawn(client)
    assert not two[1].paths


def test_the_next_request_is_sent_before_a_reply_is_checked() -> None:
    """Told by the server: the first reply is damaged, and is found so after the second request."""

    def damaged(handler: Handler, asked: dict[str, Any]) -> None:
        handler.reply(200, bytes(len(body_of(pixels(asked)))), headers_of(asked))

    with serving() as server, closing(Client(server.url)) as client:
        server.script = [damaged, right]
        images = client.generate(7, REQUEST_IMAGES + 2).images[:, 0, 0, 0]
        starts = [asked["start"] for _, asked in server.asked]
    assert starts == [0, REQUEST_IMAGES, 0, REQUEST_IMAGES]
    assert images.tolist() == [index % 256 for index in range(REQUEST_IMAGES + 2)]


def test_a_refusal_of_the_request_ahead_waits_as_the_server_asks() -> None:
    with serving() as server, closing(Client(server.url)) as client:
        server.script = [right, lambda handler, _: handler.reply(503, b"", {"Retry-After": "1"}), right]
        client.generate(7, REQUEST_IMAGES + 1)
        (_, _), (ahead, _), (again, _) = server.asked
    assert again - ahead > 0.9


def test_the_variable_says_how_long_an_outage_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server, ExitStack() as stack:
        server.script = [refuse(503)]
        monkeypatch.setenv("DRAWWELL_RETRY_FOR", "0")
        client = stack.enter_context(closing(Client(server.url)))
        with pytest.raises(UnavailableError):
            drawn(client)
        assert len(server.asked) == 1
        server.script = [refuse(503), right]
        assert drawn(stack.enter_context(closing(Client(server.url, retry_for=60)))) == [0, 1, 2]


@pytest.mark.parametrize("value", ["soon", "", "-1", "nan", "1e9"])
def test_a_wrong_variable_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWWELL_RETRY_FOR", value)
    with pytest.raises(RequestError, match="DRAWWELL_RETRY_FOR must be in seconds, 0 or more"):
        Client("http://127.0.0.1:9")


def test_no_line_of_another_library_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"), serving() as server, closing(Client(server.url)) as client:
        drawn(client)
    assert [record.name for record in caplog.records if record.name.startswith("http")] == []


def hang_up(handler: Handler, _: dict[str, Any]) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("failure", [refuse(503), refuse(500), hang_up])
def test_a_traceback_is_short_and_ends_in_our_sentence(failure: Reply) -> None:
    with serving() as server, closing(Client(server.url, retry_for=0)) as client:
        server.script = [failure]
        with pytest.raises(ServerError) as raised:
            drawn(client)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    ours = [
        str(entry.path) for entry in raised.traceback if "tenacity" in str(entry.path) or "httpcore" in str(entry.path)
    ]
    assert not ours
    assert len(raised.traceback) < 12


def test_an_error_travels(two: tuple[Scripted, Scripted]) -> None:
    calls: list[Callable[[], object]] = []
    for server, reply in zip(two, (refuse(503), right), strict=True):
        client = Client(server.url, retry_for=0)
        server.script = [reply]
        calls.append(lambda client=client: client.generate(7, 1))  # type: ignore[misc]
        if reply is right:
            swap(server)
        with pytest.raises(ServerError) as raised:
            calls[-1]()
        again = pickle.loads(pickle.dumps(raised.value))
        assert (type(again), str(again), vars(again)) == (type(raised.value), str(raised.value), vars(raised.value))
        client.close()
