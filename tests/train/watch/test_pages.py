"""The pages over HTTP, from a real server."""

import hashlib
import html
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from drawwell_train.run.run_files import CONFIG
from drawwell_train.watch.main import watching
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
    found = re.findall(r'<a href="(/runs/\w+)">([^<]*)</a>', httpx.get(url).text)
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
    assert next(received).keys() == {"status", "curves", "conditions", "sheets", "options"}
    text = json.dumps(line(550, ("mode collapse",), diversity=0.01)) + "\n"
    append(run, text[:60])
    threading.Timer(2.5, append, (run, text[60:])).start()
    fresh = next(received)
    assert fresh.keys() == {"status", "curves", "conditions"}
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


@pytest.mark.slow
def test_training_shows_its_run_while_it_lasts(tmp_path: Path) -> None:
    options = ["--steps", "40", "--log-every", "10", "--width", "8", "--batch-size", "16", "--threads", "1", "--watch"]
    done = drawwell("train", "digits", "--out", str(tmp_path / "run"), *options)
    (url,) = re.findall(r"^watch +(http://127\.0\.0\.1:\d+/runs/\w+)$", done.stderr, re.MULTILINE)
    with pytest.raises(httpx.TransportError):
        httpx.get(url)


def test_the_page_of_a_training_is_there_while_it_lasts(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", lines(300), steps=1000)
    hold(run)
    with watching(run) as url:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                assert "300 of 1,000" in httpx.get(url).text
                break
            except httpx.ConnectError:
                time.sleep(0.05)
    with pytest.raises(httpx.TransportError):
        httpx.get(url)
