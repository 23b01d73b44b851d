"""What an operator reads at /metrics."""

import asyncio
import http.client
import time
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message

from drawwell_serve.drawing.image_service import ImageService
from drawwell_serve.http.app import create_app
from drawwell_serve.settings import Settings
from tests.conftest import START_SECONDS, Server, StartServer

NPY = {"Accept": "application/x-npy"}


@pytest.fixture(scope="module")
def narrow(start_server: StartServer, tiny_generator: Path) -> Server:
    """A server that answers one request for images at a time."""
    return start_server(tiny_generator, DRAWWELL_QUEUE_REQUESTS="1", DRAWWELL_STALL_SECONDS="60")


def read(server: Server) -> dict[str, float]:
    """Every series by its name and labels, as Prometheus reads it."""
    answer = httpx.get(f"{server.url}/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def grown(server: Server, before: dict[str, float], name: str) -> float:
    return read(server).get(name, 0) - before.get(name, 0)


def test_images_runs_and_seconds_are_counted(server: Server) -> None:
    before = read(server)
    for count in (1, 5, 300):
        httpx.post(f"{server.url}/generate", json={"seed": 7, "count": count}, headers=NPY)
    assert grown(server, before, "drawwell_images_total") == 306
    assert grown(server, before, "drawwell_run_images_sum") == 306
    runs = grown(server, before, "drawwell_run_images_count")
    assert 3 <= runs <= 306
    assert grown(server, before, "drawwell_run_images_bucket le=1.0") >= 1
    for stage in ("waiting", "drawing", "encoding"):
        assert grown(server, before, f"drawwell_stage_seconds_count stage={stage}") >= 3
        assert grown(server, before, f"drawwell_stage_seconds_sum stage={stage}") > 0
    assert grown(server, before, "drawwell_stage_seconds_count stage=drawing") == runs


def test_a_304_and_a_head_draw_nothing(server: Server) -> None:
    digest = httpx.get(f"{server.url}/model").json()["digest"]
    before = read(server)
    url = f"{server.url}/images/{digest}/7/5.png"
    assert httpx.head(url).status_code == 200
    assert httpx.get(url, headers={"If-None-Match": httpx.head(url).headers["ETag"]}).status_code == 304
    assert grown(server, before, "drawwell_images_total") == 0


def test_what_is_under_way_and_what_was_refused(narrow: Server) -> None:
    before = read(narrow)
    asked = {"seed": 7, "count": 1_000_000}
    with httpx.stream("POST", f"{narrow.url}/generate", json=asked, headers=NPY) as slow:
        assert slow.status_code == 200
        assert read(narrow)["drawwell_queue_requests"] == 1
        for _ in range(3):
            answer = httpx.post(f"{narrow.url}/generate", json={})
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
            assert int(answer.headers["Retry-After"]) > 0
        assert grown(narrow, before, "drawwell_refused_total reason=too_many_requests") == 3
        assert httpx.get(f"{narrow.url}/readyz").status_code == 200, "a full queue is no reason to be taken out"
    labels = "endpoint=/generate http_response_code=429 runner_name=drawwell service_name=drawwell service_version="
    assert grown(narrow, before, f"bentoml_service_request_total {labels}not available") == 3


def test_a_deadline_that_passes_is_counted(tiny_generator: Path) -> None:
    app = create_app()
    app.state.service = ImageService(Settings(str(tiny_generator), deadline_seconds=1e-6))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
            return await http.post("/generate", json={"count": 200})

    def late() -> float:
        return REGISTRY.get_sample_value("drawwell_refused_total", {"reason": "deadline"}) or 0

    before = late()
    answer = asyncio.run(ask())
    app.state.service.close()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "deadline")
    assert late() == before + 1


def test_a_whole_reply_has_its_place_until_it_is_read(tiny_generator: Path) -> None:
    """Else a client that reads slowly would take the memory of as many as it asks for."""
    app = create_app()
    app.state.service = service = ImageService(Settings(str(tiny_generator), queue_requests=1))
    drawn, may_end, answered = asyncio.Event(), asyncio.Event(), list[int]()

    async def unread() -> None:
        messages = iter([{"type": "http.request", "body": b'{"count": 256}', "more_body": False}])

        async def receive() -> Message:
            return next(messages)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                drawn.set()
                await may_end.wait()  # as uvicorn does while the client has not read what came before

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/generate", "query_string": b"", "headers": headers}
        await app(scope, receive, send)

    async def all_of_it() -> None:
        slow = asyncio.create_task(unread())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
            await drawn.wait()
            answered.append((await http.post("/generate", json={})).status_code)
            may_end.set()
            await slow
            answered.append((await http.post("/generate", json={})).status_code)

    asyncio.run(all_of_it())
    service.close()
    assert answered == [429, 200]


def test_ten_thousand_addresses_are_one_route(server: Server) -> None:
    digest = httpx.get(f"{server.url}/model").json()["digest"]
    paths = [f"/images/{digest}/7/{index}.png" for index in range(8_000)]
    paths += [f"/nowhere/{number}" for number in range(1_000)] + [
        f"/images/x/y/{number}.png" for number in range(1_000)
    ]
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    before = set[str]()
    for path in (paths[0], paths[-1], paths[8_000], *paths):  # one of each kind, then all
        connection.request("HEAD", path)
        connection.getresponse().read()
        before = before or (set(read(server)) if path == paths[8_000] else set())
    connection.close()
    after = read(server)
    assert set(after) - before <= {name for name in after if "endpoint=/metrics" in name}
    endpoints = {name.split(" endpoint=")[1].split(" ")[0] for name in after if " endpoint=" in name}
    assert endpoints <= {route.path for route in create_app().routes}  # type: ignore[attr-defined]


def test_two_workers_are_added_up(start_server: StartServer, tiny_generator: Path) -> None:
    server = start_server(tiny_generator, DRAWWELL_WORKERS="2", DRAWWELL_THREADS="1")
    for _ in range(40):  # each on a connection of its own, which either worker may take
        httpx.post(f"{server.url}/generate", json={"seed": 7, "count": 3})
    assert read(server)["drawwell_images_total"] == 120
    deadline = time.monotonic() + START_SECONDS
    while workers(server) != [2]:  # the server answers as soon as one of them does
        assert time.monotonic() < deadline, f"{workers(server)} workers"
        time.sleep(0.1)


def workers(server: Server) -> list[float]:
    return [value for name, value in read(server).items() if name.startswith("drawwell_workers ")]


def test_servers_that_share_a_home_do_not_share_metrics(
    start_server: StartServer, tiny_generator: Path, tmp_path: Path
) -> None:
    """Nor do they read or write anything there: names that earlier versions could not read are no hindrance."""
    (tmp_path / "drawwell_metrics" / "9x").mkdir(parents=True)
    servers = []
    for count in (5, 7):
        servers.append(start_server(tiny_generator, BENTOML_HOME=str(tmp_path)))
        httpx.post(f"{servers[-1].url}/generate", json={"seed": 7, "count": count})
    assert [read(server)["drawwell_images_total"] for server in servers] == [5, 7]
    bentomls = {"bentos", "models", "envs", "tmp", "drawwell_metrics"}
    assert {path.name for path in tmp_path.iterdir()} <= bentomls
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_memory_and_processor_time_are_those_of_all_processes(server: Server) -> None:
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children()]
    before = read(server)["process_cpu_seconds_total"]
    httpx.post(f"{server.url}/generate", json={"seed": 7, "count": 20_000}, headers=NPY)
    seen = read(server)
    assert seen["process_cpu_seconds_total"] > before > 0
    memory = sum(one.memory_info().rss for one in processes)
    assert 0.5 < seen["process_resident_memory_bytes"] / memory < 2
