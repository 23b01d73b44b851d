"""The pages in a real Chromium: what JavaScript keeps up to date, and what a person does with pointer and keys."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.train.watch.conftest import Watch
from tests.train.watch.test_pages import HOSTILE, ids
from tests.train.watch.written import append, hold, line, lines, write_run

pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

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
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", *quiet):
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


def text(browser: webdriver.Chrome, selector: str) -> str:
    return str(script(browser, f"document.querySelector('{selector}').innerText"))


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
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    url = watch(tmp_path)
    paths = list(ids(url).values())
    both = "&".join(f"run={path.removeprefix('/runs/')}" for path in paths)
    for page in ("", *paths, f"/compare?{both}"):
        browser.get(url + page)
        wait(browser, lambda: script(browser, "document.readyState") == "complete")
        for details in browser.find_elements(By.TAG_NAME, "summary"):
            details.click()
        assert script(browser, "document.documentElement.scrollWidth") <= width
        assert script(browser, "[...document.images].every(image => image.src.includes('/sheets/'))")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
