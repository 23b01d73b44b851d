"""The server: one training in a process of its own, which only its page may command, and which ends with it."""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import START_SECONDS, drawwell
from tests.train.play.conftest import Playing

pytestmark = pytest.mark.slow


def frame(url: str, until: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
    """The first frame of which ``until`` is true."""
    with httpx.stream("GET", f"{url}/frames", timeout=START_SECONDS) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: "):
                told: dict[str, Any] = json.loads(line.removeprefix("data: "))
                if until(told):
                    return told
    pytest.fail("the frames ended")


def order(url: str, command: object, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/command", json=command, headers=headers, timeout=START_SECONDS)


def trainer_of(playing: Playing) -> psutil.Process:
    (child,) = psutil.Process(playing.process.pid).children()
    return child


def gone(process: psutil.Process) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_training_is_started_followed_and_paused(playing: Playing) -> None:
    first = frame(playing.url)
    assert first["step"] == 0
    assert order(playing.url, {"do": "start"}).status_code == 204
    later = frame(playing.url, lambda told: told["step"] > 20)
    assert later["running"]
    assert later["plot"]["drawn"] != first["plot"]["drawn"]
    order(playing.url, {"do": "pause"})
    paused = frame(playing.url, lambda told: not told["running"])
    order(playing.url, {"do": "pace", "pace": 5})
    assert frame(playing.url, lambda told: told["pace"] == 5)["step"] == paused["step"]


def test_a_refused_option_is_a_sentence_and_changes_nothing(playing: Playing) -> None:
    reply = order(playing.url, {"do": "options", "options": {"rate_d": 7}})
    assert (reply.status_code, reply.text) == (400, "Learning rate of D must be from 1e-06 to 1, not 7.")
    assert frame(playing.url)["options"]["rate_d"] == 0.005


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_only_the_page_itself_may_command(playing: Playing, headers: dict[str, str], status: int) -> None:
    assert order(playing.url, {"do": "start"}, **headers).status_code == status
    assert not frame(playing.url)["running"]


def test_bad_bodies_are_refused_with_a_sentence(playing: Playing) -> None:
    headers = {"Content-Type": "application/json"}
    for body, status in ((b"{", 400), (b"[" * 9000, 400), (b" " * 20_000, 413), (b"\xff", 400), (b"[]", 400)):
        reply = httpx.post(f"{playing.url}/command", content=body, headers=headers)
        assert reply.status_code == status
        assert reply.text.endswith(".")
    assert httpx.get(f"{playing.url}/command").status_code == 405


def test_the_page_has_nothing_inline_and_a_strict_policy(playing: Playing) -> None:
    reply = httpx.get(playing.url)
    assert "script-src 'self'; style-src 'self'" in reply.headers["content-security-policy"]
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert "style=" not in reply.text
    assert "onclick" not in reply.text
    for name in ("play.js", "play.css", "watch.css", "charts.js", "icon.svg"):
        assert httpx.get(f"{playing.url}/static/{name}").status_code == 200


def test_the_training_ends_with_its_server_even_if_that_is_killed(playing: Playing) -> None:
    order(playing.url, {"do": "start"})
    trainer = trainer_of(playing)
    playing.process.kill()
    playing.process.wait()
    assert gone(trainer)


def test_a_training_that_dies_is_said_and_reset_starts_another(playing: Playing) -> None:
    frame(playing.url)
    trainer = trainer_of(playing)
    os.kill(trainer.pid, signal.SIGKILL)
    assert gone(trainer)
    with httpx.stream("GET", f"{playing.url}/frames", timeout=START_SECONDS) as reply:
        assert any(line == "event: ended" for line in reply.iter_lines())
    refused = order(playing.url, {"do": "start"})
    assert (refused.status_code, refused.text) == (503, "The process that trains has ended; reset starts a new one.")
    assert order(playing.url, {"do": "reset"}).status_code == 204
    order(playing.url, {"do": "start"})
    assert frame(playing.url, lambda told: told["step"] > 0)


def test_a_port_that_is_taken_is_a_sentence(playing: Playing) -> None:
    port = playing.url.rpartition(":")[2]
    assert f"cannot listen on 127.0.0.1, port {port}" in drawwell("play", "--port", port, code=1, fresh=True).stderr
