"""The pages over HTTP, from a real server."""

import asyncio
import hashlib
import html
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from drawwell_train.run.run_files import CONFIG
from drawwell_train.watch.app import create_app
from drawwell_train.watch.found_runs import FoundRuns
from drawwell_train.watch.history import History
from drawwell_train.watch.server import create_server, listen, url_of
from tests.conftest import drawwell
from tests.train.watch.conftest import Watch
from tests.train.watch.written import append, hold, line, lines, write_run

HOSTILE = "<img src=x onerror=alert(1)>&\"'"
PATIENCE_SECONDS = 60


class Parsed(HTMLParser):
    """What a browser takes for attributes and for text."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes, self.text = set[str](), ""

    @classmethod
    def text_of(cls, page: str) -> str:
        parsed = cls()
        parsed.feed(page)
        return parsed.text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - of the base class
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def ids(url: str) -> dict[str, str]:
    """The paths of the runs' pages, by the names in the list."""
    found = re.findall(r'<a href="(/runs/\w+)"[^>]*>([^<]*)</a>', httpx.get(url).text)
    return {html.unescape(name): path for path, name in found}


def events(url: str, **query: str) -> Iterator[dict[str, str]]:
    """What a page receives: sections that changed, as HTML by their ids."""
    with httpx.stream("GET", f"{url}/events", params=query, timeout=PATIENCE_SECONDS) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        for text in reply.iter_lines():
            if text.startswith("data: "):
                yield json.loads(text.removeprefix("data: "))


def state_of(folder: Path) -> dict[str, Any]:
    """Every file below a folder with its bytes, and every entry with the time of its last change."""
    return {
        str(path): (path.lstat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


def test_a_new_line_arrives_and_half_a_line_does_not(watch: Watch, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines(500), sheets=[500], steps=1000)
    hold(run)
    url = watch(tmp_path)
    received = events(url, run=ids(url)["run"].removeprefix("/runs/"))
    charts = ["losses", "outputs", "accuracy", "value", "jsd", "diversity", "kid", "gradients", "speed"]
    drawn = {f"{part}-{chart}" for chart in charts for part in ("caption", "plot")}
    assert next(received).keys() == {"status", "thinned", "shades", "conditions", "sheets", "options", *drawn}
    text = json.dumps(line(550, ("mode collapse",), diversity=0.01)) + "\n"
    append(run, text[:60])
    threading.Timer(2.5, append, (run, text[60:])).start()
    fresh = next(received)
    assert {"status", "conditions", "plot-losses"} <= fresh.keys() and not {"sheets", "options"} & fresh.keys()
    assert "550 of 1,000" in fresh["status"]
    assert "mode collapse begins: the generator draws nearly the same few images" in fresh["conditions"]
    received.close()  # type: ignore[attr-defined]


def test_the_list_shows_runs_that_begin_later(watch: Watch, tmp_path: Path) -> None:
    url = watch(tmp_path)
    received = events(url)
    assert "There is no run in this folder yet" in next(received)["runs"]
    write_run(tmp_path / "second", lines(100))
    assert ">second</a>" in next(received)["runs"]
    received.close()  # type: ignore[attr-defined]


def test_every_number_of_the_list_is_there(watch: Watch, tmp_path: Path) -> None:
    rows = [line(step, images_per_second=640.0) for step in range(50, 501, 50)]
    hold(write_run(tmp_path / "run", rows, steps=1500))
    page = httpx.get(watch(tmp_path)).text
    shown = dict(re.findall(r'<td data-name="([^"]+)"><\w+[^>]*>([^<]*)<', page))
    assert shown == shown | {
        "Run": "run",
        "State": "training",
        "Step": "500 of 1,500",
        "Images/s": "640",
        "Time left": "0:01:40",
        "Last condition": "none",
    }


def test_curves_hold_what_was_asked_of_them(watch: Watch, tmp_path: Path) -> None:
    write_run(tmp_path / "run", lines(2000))
    write_run(tmp_path / "critic", [{k: v for k, v in row.items() if k not in ("jsd", "swing")} for row in lines(2000)])
    url = watch(tmp_path)
    page, critic = (httpx.get(url + ids(url)[name]).text for name in ("run", "critic"))
    charts = re.findall(r'id="chart-(\w+)"', page)
    assert charts == ["losses", "outputs", "accuracy", "value", "jsd", "diversity", "kid", "gradients", "speed"]
    assert "-2 log 2: perfect G" in page and "log 2: greatest" in page
    assert "-2 log 2" not in critic and "Only losses that are cross-entropies give this bound." in critic
    assert "D's outputs (no fixed scale)" in critic


def test_two_runs_stand_beside_each_other(watch: Watch, tmp_path: Path) -> None:
    write_run(tmp_path / "one", lines(1000), sheets=[500, 1000])
    write_run(tmp_path / "two", lines(2000), sheets=[1000], preset="sngan", seed=3)
    url = watch(tmp_path)
    both = [ids(url)[name].removeprefix("/runs/") for name in ("one", "two")]
    page = httpx.get(f"{url}/compare", params={"run": both}).text
    assert re.findall(r'<polyline [^>]*data-label="(\w+)"', page)[:2] == ["one", "two"]
    assert len(re.findall(r"<img ", page)) == 2
    different = dict(re.findall(r'<th scope="row">(\w+)</th><td>([^<]*)</td>', page))
    assert (different["preset"], different["seed"]) == ("dcgan", "0")
    assert "batch_size" not in different
    for run_id in both:  # a number that only one has is drawn, one that none has is not
        assert f'value="{run_id}"' not in page
    for wrong in ([], both[:1], both[:1] * 2, [*both, both[0]]):
        refused = httpx.get(f"{url}/compare", params={"run": wrong})
        assert refused.status_code == 400 and "Choose two runs to compare" in refused.text


def test_watching_changes_no_byte_of_a_run(watch: Watch, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines(500), sheets=[100, 200])
    hold(run)
    before = state_of(tmp_path)
    url = watch(tmp_path)
    path = ids(url)["run"]
    for page in ("", path, f"{path}/sheets/100", "/static/live.js", f"{path}/sheets/7", "/runs/none"):
        httpx.get(url + page)
    next(events(url, run=path.removeprefix("/runs/")))
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert httpx.request(method, url + path).status_code == 405
    assert state_of(tmp_path) == before


def test_a_long_run_sends_its_curves_when_they_have_grown_by_a_pixel(watch: Watch, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines(5000, every=1), steps=10_000)
    hold(run)
    url = watch(tmp_path)
    path = ids(url)["run"]
    assert "run has 5,000 lines. The curves show the lowest and the highest of every 16." in httpx.get(url + path).text
    received = events(url, run=path.removeprefix("/runs/"))
    assert "plot-losses" in next(received)
    append(run, json.dumps(line(5001, loss_d=0.123)) + "\n")
    fresh = next(received)
    assert "0.123" in fresh["caption-losses"] and "plot-losses" not in fresh
    append(run, json.dumps(line(5050, loss_d=0.123)) + "\n")
    assert "5050]" in next(received)["plot-losses"]
    received.close()  # type: ignore[attr-defined]


def test_one_run_that_cannot_be_shown_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bad", "good"):
        write_run(tmp_path / name, lines(100))
    update = History.update

    def break_bad(history: History) -> bool:
        if history._file.parent.name == "bad":
            raise TypeError("no such thing")
        return update(history)

    monkeypatch.setattr(History, "update", break_bad)
    client = TestClient(create_app(FoundRuns(tmp_path), []), base_url="http://localhost")
    page = client.get("/")
    assert page.status_code == 200 and ">good</a>" in page.text and "100" in page.text
    assert "this run cannot be shown (TypeError: no such thing)" in page.text
    bad, good = (run.id for run in FoundRuns(tmp_path).all())
    for path in (f"/runs/{bad}", f"/compare?run={bad}&run={good}"):
        reply = client.get(path)
        assert reply.status_code == 200 and "no such thing" in reply.text


def test_files_are_read_in_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk must not stop the other pages."""
    read: list[bool] = []

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            read.append(asyncio._get_running_loop() is None)
            return function(*arguments)

        return call

    for name in ("one", "two"):
        write_run(tmp_path / name, lines(100), sheets=[100])
    monkeypatch.setattr(os, "scandir", noted(os.scandir))
    monkeypatch.setattr(os, "open", noted(os.open))
    looks = iter([False, True] * 2)
    one, two = (run.id for run in FoundRuns(tmp_path).all())
    both = f"run={one}&run={two}"
    pages = ("/", f"/runs/{one}", f"/compare?{both}", f"/runs/{one}/sheets/100", "/events", f"/events?{both}")
    client = TestClient(create_app(FoundRuns(tmp_path), [], lambda: next(looks)), base_url="http://localhost")
    for page in pages:
        assert client.get(page).status_code == 200
    assert len(read) > 5 and all(read)


def test_a_page_opens_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two", "three"):
        write_run(tmp_path / name, lines(100))
    runs = FoundRuns(tmp_path)
    opened: list[str] = []
    update = History.update

    def noted(history: History) -> bool:
        opened.append(history._file.parent.name)
        return update(history)

    monkeypatch.setattr(History, "update", noted)
    one = next(run for run in runs.all() if run.name == "one")
    page = TestClient(create_app(runs, []), base_url="http://localhost").get(f"/runs/{one.id}")
    assert ">three</option>" in page.text and ">two</option>" in page.text
    assert opened == ["one"]


def test_runs_that_train_keep_their_places(watch: Watch, tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        hold(write_run(tmp_path / name, lines(100), steps=1000))
    write_run(tmp_path / "0", lines(100), steps=1000)
    url = watch(tmp_path)
    for name in ("c", "a", "b"):
        append(tmp_path / name, json.dumps(line(150)) + "\n")
        assert list(ids(url)) == ["a", "b", "c", "0"]


def test_hostile_names_stay_text(watch: Watch, tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "")
    run = write_run(tmp_path / name, [line(50), line(100, (HOSTILE,))], sheets=[50], license=HOSTILE)
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe\n"))
    write_run(odd, lines(100))
    (odd / CONFIG).write_text((run / CONFIG).read_text())
    url = watch(tmp_path)
    pages = [url, *(url + path for path in ids(url).values())]
    both = [path.removeprefix("/runs/") for path in ids(url).values()]
    assert len(both) == 2
    texts = [httpx.get(page).text for page in pages] + [httpx.get(f"{url}/compare", params={"run": both}).text]
    texts += [text for run_id in both for text in next(events(url, run=run_id)).values()]
    for text in texts:
        parsed = Parsed()
        parsed.feed(text)
        assert not {"onerror", "onload"} & parsed.attributes
    assert HOSTILE in Parsed.text_of(texts[0])


@pytest.mark.parametrize(
    "content", ["", "null", "{", '{"steps": "many", "recipe": 7, "kid_every": []}', '{"steps": -3}']
)
def test_a_damaged_run_is_shown_as_far_as_it_goes(watch: Watch, tmp_path: Path, content: str) -> None:
    run = write_run(tmp_path / "run", lines(300))
    (run / CONFIG).write_text(content)
    url = watch(tmp_path)
    for page in (url, url + ids(url)["run"]):
        reply = httpx.get(page)
        assert reply.status_code == 200 and "300" in reply.text
        assert ("config.json is damaged" in reply.text) == (not content.startswith('{"'))


def test_other_names_and_other_sites_are_refused(watch: Watch, tmp_path: Path) -> None:
    url = watch(tmp_path)
    for host in ("localhost", "localhost:7000", "127.0.0.1:1", "[::1]:3001"):
        assert httpx.get(url, headers={"Host": host}).status_code == 200
    for host in ("example.org", "localhost.example.org", "127.0.0.1.example.org", ""):
        assert httpx.get(url, headers={"Host": host}).status_code in (400, 421)
    other = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert httpx.get(url, headers=other).status_code == 403
    followed = other | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert httpx.get(url, headers=followed).status_code == 200


def test_the_name_that_host_gives_is_answered_and_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    known = {"GPU-box.example": "127.0.0.1"}
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more, **named: resolve(known.get(host, host), *more, **named)
    )
    monkeypatch.setattr(socket, "gethostname", lambda: "this-machine")
    monkeypatch.setattr(socket, "getfqdn", lambda: "this-machine.example")
    right = {
        "127.0.0.1": ("127.0.0.1", ()),
        "GPU-box.example": ("GPU-box.example", ("gpu-box.example", "GPU-BOX.example:3001")),
        "0.0.0.0": ("this-machine", ("this-machine:1", "this-machine.example")),
    }
    for host, (printed, names) in right.items():
        with listen(known.get(host, host), 0) as listener:
            assert url_of(listener, host) == f"http://{printed}:{listener.getsockname()[1]}"
            server = create_server(partial(create_app, FoundRuns(tmp_path)), listener, host)
            client = TestClient(cast(Starlette, server.config.app), base_url="http://localhost")
            for name in ("localhost", *names):
                assert client.get("/", headers={"Host": name}).status_code == 200
            for name in ("other.example", "this-machine" if "this-machine:1" not in names else "x"):
                assert client.get("/", headers={"Host": name}).status_code == 421


def test_nothing_comes_from_elsewhere_or_stands_inline(watch: Watch, tmp_path: Path) -> None:
    write_run(tmp_path / "run", lines(300), sheets=[100])
    url = watch(tmp_path)
    for page in (url, url + ids(url)["run"], f"{url}/runs/none", f"{url}/static/live.js"):
        policy = httpx.get(page).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        text = httpx.get(page).text
        assert not re.search(r"(?:src|href)=\"(?!/)|<script>|<style| style=| on\w+=\"", text)


def test_what_is_not_there_is_a_sentence(watch: Watch, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines(300), sheets=[100])
    url = watch(tmp_path)
    path = ids(url)["run"]
    for missing in ("/runs/none", f"{path}/sheets/7", f"{path}/sheets/{10**30}", "/events?run=none"):
        reply = httpx.get(url + missing)
        assert reply.status_code == 404 and "There is no such" in reply.text
    assert httpx.get(f"{url}{path}/sheets/100").content == (run / "samples" / "step-00000100.png").read_bytes()


def test_wrong_options_are_sentences(tmp_path: Path) -> None:
    assert "there is no such folder" in drawwell("watch", str(tmp_path / "none"), code=1, fresh=True).stderr
    assert (
        "--port must be from 0 to 65535"
        in drawwell("watch", str(tmp_path), "--port", "99999", code=1, fresh=True).stderr
    )
    assert (
        "cannot listen on 192.0.2.1"
        in drawwell("watch", str(tmp_path), "--host", "192.0.2.1", code=1, fresh=True).stderr
    )
