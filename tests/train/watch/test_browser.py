"""The pages in a real Chromium: what JavaScript keeps up to date, and what a person does with pointer and keys."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from drawwell_train.monitor.conditions import OSCILLATION
from drawwell_train.watch.bands import CONDITIONS
from tests.train.watch.conftest import Watch
from tests.train.watch.test_pages import HOSTILE, ids
from tests.train.watch.written import append, hold, line, lines, write_run

pytest.importorskip("selenium")
pytest.importorskip("axe_core_python")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE_SECONDS = 60
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    quiet = ("--no-first-run", "--disable-background-networking", "--window-size=1280,900")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", *quiet):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=Service(DRIVER)) as driver:
        yield driver


@pytest.fixture(autouse=True)
def no_errors(browser: webdriver.Chrome, watch: Watch) -> Iterator[None]:  # noqa: ARG001 - its servers end later
    """Whatever the console says while the server runs fails the test: mistakes of scripts, and what the policy keeps out."""
    yield
    said = browser.get_log("browser")  # type: ignore[no-untyped-call]
    browser.get("about:blank")
    assert said == []


def wait(browser: webdriver.Chrome, until: Callable[[], Any]) -> Any:
    return WebDriverWait(browser, PATIENCE_SECONDS).until(lambda _: until())


@contextmanager
def showing(browser: webdriver.Chrome, width: int, scheme: str) -> Iterator[None]:
    """A window of a width in pixels, light or dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def text(browser: webdriver.Chrome, selector: str) -> str:
    return str(script(browser, f"document.querySelector('{selector}').innerText"))


def shows(browser: webdriver.Chrome, words: str) -> bool:
    return words in text(browser, "main")


def script(browser: webdriver.Chrome, code: str) -> Any:
    return browser.execute_script(f"return {code}")


def test_a_run_is_followed_and_a_new_condition_is_spoken(
    browser: webdriver.Chrome, watch: Watch, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", lines(500), sheets=[500], steps=1000)
    hold(run)
    url = watch(tmp_path)
    browser.get(url + ids(url)["run"])
    assert "500 of 1,000" in text(browser, "#status")
    browser.find_element(By.TAG_NAME, "summary").click()
    append(run, json.dumps(line(550, ("mode collapse",), diversity=0.01)) + "\n")
    wait(browser, lambda: "550 of 1,000" in text(browser, "#status"))
    wait(browser, lambda: "mode collapse begins" in text(browser, "#conditions"))
    wait(browser, lambda: "mode collapse begins" in script(browser, "document.getElementById('spoken').textContent"))
    assert script(browser, "document.querySelector('details').open")


def test_values_are_read_under_the_pointer_and_by_keys(browser: webdriver.Chrome, watch: Watch, tmp_path: Path) -> None:
    rows = lines(2000)
    write_run(tmp_path / "run", rows)
    url = watch(tmp_path)
    browser.get(url + ids(url)["run"])
    chart = browser.find_element(By.ID, "chart-outputs")
    ActionChains(browser).move_to_element_with_offset(chart, 10, 0).perform()
    wait(browser, lambda: "at step" in script(browser, "document.querySelector('#curves h2').dataset.at"))
    last = script(browser, "document.querySelector('#chart-outputs').closest('figure').querySelector('b').dataset.last")
    assert float(last) == pytest.approx(rows[-1]["d_real"], abs=0.005)
    chart.send_keys(Keys.HOME)
    spoken = script(browser, "document.getElementById('spoken').textContent")
    assert spoken.startswith("step 0: D(x) ")
    assert float(spoken.split()[3].rstrip(",")) == pytest.approx(rows[0]["d_real"], abs=0.01)
    values = script(browser, "[...document.querySelectorAll('#chart-gradients ~ *, figure b')].map(b => b.textContent)")
    assert all(value not in ("NaN", "undefined") for value in values)
    chart.send_keys(Keys.ESCAPE)
    assert script(browser, "document.querySelector('.cross').getAttribute('visibility')") == "hidden"


def test_a_spike_of_one_line_is_read_as_it_is_written(browser: webdriver.Chrome, watch: Watch, tmp_path: Path) -> None:
    rows = lines(2000)
    rows[20]["loss_g"] = 123.456789
    write_run(tmp_path / "run", rows)
    url = watch(tmp_path)
    browser.get(url + ids(url)["run"])
    chart = browser.find_element(By.ID, "chart-losses")
    chart.send_keys(Keys.HOME)
    for _ in range(rows[20]["step"] * 100 // 2000):
        chart.send_keys(Keys.ARROW_RIGHT)
    spoken = script(browser, "document.getElementById('spoken').textContent")
    assert spoken.startswith(f"step {rows[20]['step'] - 10:,}: D ") and spoken.endswith("G 123")


def test_what_has_the_focus_and_what_is_open_stays_so(browser: webdriver.Chrome, watch: Watch, tmp_path: Path) -> None:
    many = [line(step, (OSCILLATION,) if step % 100 else ()) for step in range(50, 1001, 50)]
    for name in ("one", "two"):
        hold(write_run(tmp_path / name, many, steps=5000, seed=len(name)))
    url = watch(tmp_path)
    both = [path.removeprefix("/runs/") for path in ids(url).values()]
    for page, name in ((url, f"run-{both[0]}"), (f"{url}/compare?run={both[0]}&run={both[1]}", f"earlier-{both[1]}")):
        browser.get(page)
        for details in browser.find_elements(By.TAG_NAME, "summary"):
            details.click()
        opened = script(browser, "document.querySelectorAll('details[open]').length")
        script(browser, f"document.getElementById('{name}').focus()")
        step = len((tmp_path / "two" / "stats.jsonl").read_text().splitlines()) * 50 + 50
        for run in ("one", "two"):
            append(tmp_path / run, json.dumps(line(step, (OSCILLATION,) if step % 100 else ())) + "\n")
        wait(browser, partial(shows, browser, f"{step:,} of 5,000"))
        assert script(browser, "document.activeElement.id") == name
        assert script(browser, "document.querySelectorAll('details[open]').length") == opened


def test_the_step_that_keys_chose_stays_when_a_line_is_added(
    browser: webdriver.Chrome, watch: Watch, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", lines(500), steps=1000)
    url = watch(tmp_path)
    browser.get(url + ids(url)["run"])
    browser.find_element(By.ID, "chart-losses").send_keys(Keys.HOME)
    append(run, json.dumps(line(550)) + "\n")
    wait(browser, lambda: script(browser, "document.querySelector('#chart-losses').dataset.step") == "550")
    assert script(browser, "document.activeElement.id") == "chart-losses"
    wait(browser, lambda: script(browser, "document.querySelector('#curves h2').dataset.at") == " at step 0")
    assert script(browser, "document.querySelector('#chart-jsd .cross').getAttribute('visibility')") == "visible"


def test_sheets_play_and_pause(browser: webdriver.Chrome, watch: Watch, tmp_path: Path) -> None:
    write_run(tmp_path / "run", lines(5000), sheets=range(10, 5001, 10))
    url = watch(tmp_path)
    browser.get(url + ids(url)["run"])
    button = browser.find_element(By.ID, "sheet-play")
    button.click()
    wait(browser, lambda: script(browser, "document.getElementById('sheet-step').value") > "1")
    assert button.text == "Pause"
    button.click()
    assert button.text == "Play"
    stopped = text(browser, "#sheet-label")
    time.sleep(0.5)  # four frames
    assert text(browser, "#sheet-label") == stopped != "step 5,000"


def test_another_run_is_chosen_on_the_page_of_one(browser: webdriver.Chrome, watch: Watch, tmp_path: Path) -> None:
    for name in ("one", "three", "two"):
        write_run(tmp_path / name, lines(1000), sheets=[500])
    url = watch(tmp_path)
    browser.get(url + ids(url)["one"])
    Select(browser.find_element(By.CSS_SELECTOR, ".compare select")).select_by_visible_text("two")
    browser.find_element(By.CSS_SELECTOR, ".compare button").click()
    wait(browser, lambda: text(browser, "h1") == "one and two")
    assert [link.text for link in browser.find_elements(By.CSS_SELECTOR, "#status h2 a")] == ["one", "two"]


def test_a_slow_network_shows_the_page_and_its_new_lines(
    browser: webdriver.Chrome, watch: Watch, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", lines(500), sheets=[500], steps=1000)
    hold(run)
    url = watch(tmp_path)
    path = ids(url)["run"]
    browser.set_network_conditions(latency=400, download_throughput=20_000, upload_throughput=20_000)
    try:
        browser.get(url + path)
        wait(browser, lambda: "500 of 1,000" in text(browser, "#status"))
        append(run, json.dumps(line(550)) + "\n")
        wait(browser, lambda: "550 of 1,000" in text(browser, "#status"))
        wait(browser, lambda: script(browser, "document.querySelector('#sheets img').naturalWidth") > 0)
    finally:
        browser.delete_network_conditions()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(
    browser: webdriver.Chrome, watch: Watch, tmp_path: Path, width: int, scheme: str
) -> None:
    for name in ("one", "two"):
        rows = [line(step, CONDITIONS if step % 100 else ()) for step in range(50, 1001, 50)]
        hold(write_run(tmp_path / name, rows, sheets=[500, 1000], steps=5000, seed=len(name)))
    write_run(tmp_path / "bad", [line(50)])
    (tmp_path / "bad" / "config.json").write_text("{")
    url = watch(tmp_path)
    found = ids(url)
    one, two = (found[name].removeprefix("/runs/") for name in ("one", "two"))
    axe = (files("axe_core_python") / "axe.min.js").read_text()
    with showing(browser, width, scheme):
        for page in ("/", found["one"], found["bad"], f"/compare?run={one}&run={two}", "/runs/none"):
            browser.get(url + page)
            wait(browser, lambda: script(browser, "document.readyState") == "complete")
            for details in browser.find_elements(By.TAG_NAME, "summary"):
                details.click()
            browser.execute_script(axe)
            violations = browser.execute_async_script("axe.run().then(found => arguments[0](found.violations))")
            serious = [one for one in violations if one["impact"] in ("serious", "critical")]
            assert serious == [], (page, json.dumps(serious, indent=1)[:3000])
    # the browser reports the reply 404 to the last page
    assert [said for said in browser.get_log("browser") if "404" not in said["message"]] == []  # type: ignore[no-untyped-call]


def test_sheets_are_chosen_by_a_slider_that_new_ones_do_not_move(
    browser: webdriver.Chrome, watch: Watch, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", lines(500), sheets=[100, 200, 300])
    url = watch(tmp_path)
    browser.get(url + ids(url)["run"])
    slider = browser.find_element(By.ID, "sheet-step")
    assert text(browser, "#sheet-label") == "step 300"
    slider.send_keys(Keys.ARROW_LEFT)
    assert text(browser, "#sheet-label") == "step 200"
    source = script(browser, "document.querySelector('#sheets img').src")
    assert "/sheets/200?" in source
    (run / "samples" / "step-00000400.png").write_bytes((run / "samples" / "step-00000300.png").read_bytes())
    wait(browser, lambda: script(browser, "document.getElementById('sheet-step').max") == "3")
    assert text(browser, "#sheet-label") == "step 200"
    assert script(browser, "document.activeElement.id") == "sheet-step"
    browser.find_element(By.ID, "sheet-play").click()
    wait(browser, lambda: text(browser, "#sheet-label") == "step 400")
    wait(browser, lambda: script(browser, "document.querySelector('#sheets img').naturalWidth") > 0)


def test_two_runs_are_chosen_from_the_list(browser: webdriver.Chrome, watch: Watch, tmp_path: Path) -> None:
    for name, preset in (("one", "dcgan"), ("two", "wgan-gp")):
        rows = [
            {k: v for k, v in row.items() if name == "one" or k not in ("jsd", "accuracy_d")} for row in lines(1000)
        ]
        write_run(tmp_path / name, rows, sheets=[500], preset=preset)
    browser.get(watch(tmp_path))
    for box in browser.find_elements(By.CSS_SELECTOR, "input[type=checkbox]"):
        box.click()
    write_run(tmp_path / "third", lines(100))  # the list is sent anew, and the choice stays
    wait(browser, lambda: "third" in text(browser, "#runs"))
    browser.find_element(By.CSS_SELECTOR, "form button").click()
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".sheets img"))
    assert len(browser.find_elements(By.CSS_SELECTOR, ".sheets img")) == 2
    ActionChains(browser).move_to_element(browser.find_element(By.ID, "chart-jsd")).perform()
    wait(browser, lambda: "at step" in script(browser, "document.querySelector('#curves h2').dataset.at"))


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window_and_no_name_is_markup(
    browser: webdriver.Chrome, watch: Watch, tmp_path: Path, width: int
) -> None:
    write_run(tmp_path / HOSTILE, [*lines(300), line(350, (HOSTILE,))], sheets=[100], license="x" * 300)
    write_run(tmp_path / ("long" * 50), lines(300), sheets=[100])
    url = watch(tmp_path)
    paths = list(ids(url).values())
    both = "&".join(f"run={path.removeprefix('/runs/')}" for path in paths)
    with showing(browser, width, "light"):
        for page in ("", *paths, f"/compare?{both}"):
            browser.get(url + page)
            wait(browser, lambda: script(browser, "document.readyState") == "complete")
            for details in browser.find_elements(By.TAG_NAME, "summary"):
                details.click()
            assert script(browser, "document.documentElement.scrollWidth") <= width
            assert script(browser, "[...document.images].every(image => image.src.includes('/sheets/'))")
