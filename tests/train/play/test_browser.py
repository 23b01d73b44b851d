"""The page in a real Chromium: every control is used, by pointer and by keys, and the pictures are looked at."""

from collections.abc import Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from drawwell_train.play.lessons import LESSONS
from drawwell_train.play.options import CONTROLS, Choice
from tests.train.play.conftest import Playing, served

pytest.importorskip("selenium")
pytest.importorskip("axe_core_python")

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from tests.train.watch import test_browser as watched
from tests.train.watch.test_browser import script, showing, text, wait

pytestmark = watched.pytestmark
browser = watched.browser

CHANGED = {
    "data": "images",
    "preset": "mlp",
    "loss": "hinge",
    "rate_d": "0.004",
    "rate_g": "0.003",
    "d_steps": "2",
    "g_steps": "3",
    "prior": "uniform",
    "label_smoothing": "0",
    "pack": "4",
    "seed": "5",
}
"""Another value for every option; smoothing has no meaning with hinge."""


SHEET_PIXELS, PLANE_PIXELS = 7 * 34 + 2, 640
"""The side of each kind of picture. 40 images of 32 px are seven in a row, with gaps of two."""


@pytest.fixture(autouse=True)
def no_errors(browser: webdriver.Chrome, playing: Playing) -> Iterator[None]:
    """Open the page. Whatever the console says until the test ends fails it; a refused command is said there by Chromium itself."""
    browser.get(playing.url)
    wait(browser, lambda: find(browser, "#run").is_enabled())
    yield
    said = [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]
    browser.get("about:blank")
    assert [
        one
        for one in said
        if "/command - Failed to load resource: the server responded with a status of 400" not in one
    ] == []


def find(browser: webdriver.Chrome, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def step(browser: webdriver.Chrome) -> int:
    return int(script(browser, "document.querySelector('#numbers dd').textContent").replace(",", ""))


def choose(browser: webdriver.Chrome, name: str, value: str) -> None:
    field = find(browser, f"[name={name}]")
    if isinstance(CONTROLS[name], Choice):
        Select(field).select_by_value(value)
    else:
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(value, Keys.TAB)


def trained_with(browser: webdriver.Chrome) -> dict[str, Any]:
    """The options of the newest frame, asked for anew."""
    code = """
        const done = arguments[0];
        const source = new EventSource("/frames");
        source.onmessage = (event) => { source.close(); done(JSON.parse(event.data).options); };
    """
    options: dict[str, Any] = browser.execute_async_script(code)
    return options


def has(browser: webdriver.Chrome, name: str, value: str) -> bool:
    return str(trained_with(browser)[name]) == value


def is_pressed(browser: webdriver.Chrome, lesson: str) -> bool:
    return find(browser, f"[data-lesson={lesson}]").get_attribute("aria-pressed") == "true"


def pixels(browser: webdriver.Chrome, canvas: str) -> str:
    return str(script(browser, f"document.getElementById('{canvas}').toDataURL()"))


def test_start_pause_one_step_reset_and_speed(browser: webdriver.Chrome) -> None:
    before = pixels(browser, "now"), pixels(browser, "beside")
    run = find(browser, "#run")
    run.click()
    wait(browser, lambda: step(browser) > 20 and run.text == "Pause")
    Select(find(browser, "#pace")).select_by_value("5")
    run.send_keys(Keys.SPACE)
    wait(browser, lambda: run.text == "Start")
    paused = step(browser)
    assert pixels(browser, "now") != before[0]
    assert pixels(browser, "beside") != before[1]
    find(browser, "#step").send_keys(Keys.ENTER)
    wait(browser, lambda: step(browser) == paused + 1)
    assert script(browser, "document.getElementById('pace').value") == "5"
    find(browser, "#reset").click()
    wait(browser, lambda: step(browser) == 0)
    assert (pixels(browser, "now"), pixels(browser, "beside")) == before


def test_every_option_reaches_the_training(browser: webdriver.Chrome) -> None:
    assert CHANGED.keys() == CONTROLS.keys()
    before = trained_with(browser)
    for name, value in CHANGED.items():
        choose(browser, name, value)
        wait(browser, partial(has, browser, name, value))
    after = trained_with(browser)
    assert [name for name in after if after[name] == before[name]] == ["label_smoothing"]
    assert text(browser, "#problem") == ""
    find(browser, "#run").click()
    wait(browser, lambda: step(browser) > 10)


def test_a_refused_option_is_said_and_stays_until_it_is_mended(browser: webdriver.Chrome) -> None:
    choose(browser, "rate_d", "7")
    wait(browser, lambda: text(browser, "#problem") == "Learning rate of D must be from 1e-06 to 1, not 7.")
    assert find(browser, "[name=rate_d]").get_attribute("aria-invalid") == "true"
    assert trained_with(browser)["rate_d"] == 0.005
    find(browser, "#step").click()
    wait(browser, lambda: step(browser) == 1)
    assert script(browser, "document.querySelector('[name=rate_d]').value") == "7"
    assert text(browser, "#problem").startswith("Learning rate of D must be")
    choose(browser, "loss", "minimax")
    wait(browser, lambda: trained_with(browser)["loss"] == "minimax")
    assert trained_with(browser)["rate_d"] == 0.005, "one refused option keeps no other one away"
    assert find(browser, "[name=loss]").get_attribute("aria-invalid") is None
    choose(browser, "rate_d", "0.01")
    wait(browser, lambda: text(browser, "#problem") == "")
    wait(browser, lambda: trained_with(browser)["rate_d"] == 0.01)
    assert find(browser, "[name=rate_d]").get_attribute("aria-invalid") is None


def test_options_that_do_not_go_together_are_named_as_the_page_names_them(browser: webdriver.Chrome) -> None:
    choose(browser, "label_smoothing", "0.1")
    wait(browser, lambda: trained_with(browser)["label_smoothing"] == 0.1)
    choose(browser, "loss", "wasserstein")
    wait(browser, lambda: "Label smoothing" in text(browser, "#problem"))
    choose(browser, "label_smoothing", "0")
    wait(browser, lambda: trained_with(browser)["loss"] == "wasserstein")
    assert text(browser, "#problem") == ""


@pytest.mark.parametrize("name", ["oscillation", "product"])
def test_a_lesson_is_one_click_and_ends_in_its_sentence(browser: webdriver.Chrome, name: str) -> None:
    button = find(browser, f"[data-lesson={name}]")
    button.click()
    wait(browser, partial(is_pressed, browser, name))
    look = f"Look. {LESSONS[name].look}"
    assert text(browser, ".told") == look or text(browser, ".told").startswith("Seen. "), "some lessons are short"
    wait(browser, lambda: text(browser, ".told").startswith("Seen. "))
    assert str(step(browser)) in text(browser, "#sentence")
    assert find(browser, "#run").text == "Start"
    shown = {one: script(browser, f"document.querySelector('[name={one}]').value") for one in CONTROLS}
    assert shown == {one: str(getattr(LESSONS[name].options, one)) for one in CONTROLS} | {"label_smoothing": "0"}


def test_every_lesson_begins_with_its_options(browser: webdriver.Chrome) -> None:
    for name, lesson in LESSONS.items():
        find(browser, f"[data-lesson={name}]").click()
        wait(browser, partial(is_pressed, browser, name))
        assert trained_with(browser) == vars(lesson.options)


def test_the_game_has_one_picture_and_fewer_options(browser: webdriver.Chrome) -> None:
    choose(browser, "data", "product")
    wait(browser, lambda: not find(browser, "#beside").is_displayed())
    assert not find(browser, "[name=loss]").is_enabled()
    assert "V(x, y)" in text(browser, "#now-title")
    choose(browser, "data", "ring")
    wait(browser, lambda: find(browser, "#beside").is_displayed() and find(browser, "[name=loss]").is_enabled())


@pytest.mark.parametrize("width", [1280, 390])
def test_a_training_is_commanded_above_its_pictures(browser: webdriver.Chrome, width: int) -> None:
    with showing(browser, width, "light"):
        boxes = [find(browser, f"#{name}").rect for name in ("run", "step", "reset")]
        top = min(find(browser, f"#{name}").rect["y"] for name in ("now", "beside"))
        assert all(box["y"] + box["height"] < top for box in boxes)


def test_images_are_two_sheets_and_have_no_surface(
    browser: webdriver.Chrome, playing: Playing, tmp_path: Path, pictures: Path
) -> None:
    with served(tmp_path / "images", str(pictures)) as images:
        browser.get(images.url)
        wait(browser, lambda: script(browser, "document.getElementById('now').width") == SHEET_PIXELS)
        wait(browser, lambda: script(browser, "document.getElementById('beside').width") == SHEET_PIXELS)
        assert (text(browser, "#now-title"), text(browser, "#beside-title")) == ("Drawn by G now", "Data")
        assert not find(browser, "#legend").is_displayed()
        assert not find(browser, "#measured").is_displayed()
        assert Select(find(browser, "[name=data]")).first_selected_option.text == "images: squares"
        before = pixels(browser, "now"), pixels(browser, "beside")
        find(browser, "#run").click()
        wait(browser, lambda: step(browser) > 1 and pixels(browser, "now") != before[0])
        assert pixels(browser, "beside") == before[1]
        choose(browser, "preset", "mlp")
        wait(browser, lambda: trained_with(browser)["preset"] == "mlp")
        choose(browser, "data", "ring")
        wait(browser, lambda: script(browser, "document.getElementById('now').width") == PLANE_PIXELS)
        assert find(browser, "#legend").is_displayed()
        assert not find(browser, "[name=preset]").is_enabled()
        browser.get(playing.url)


def test_curves_are_read_by_keys_while_the_training_runs(browser: webdriver.Chrome) -> None:
    find(browser, "#run").click()
    wait(browser, lambda: step(browser) > 30)
    find(browser, "#chart-jsd").send_keys(Keys.HOME)
    wait(
        browser,
        lambda: script(browser, "document.getElementById('spoken').textContent").startswith("step 0: divergence 0.69"),
    )
    seen = step(browser)
    wait(browser, lambda: step(browser) > seen + 20)
    assert script(browser, "document.activeElement.id") == "chart-jsd"


def test_all_controls_are_reached_by_tab(browser: webdriver.Chrome) -> None:
    reached = set()
    for _ in range(40):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        one = browser.switch_to.active_element
        reached.add(one.get_attribute("data-lesson") or one.get_attribute("name") or one.get_attribute("id"))
    only_of_images = {"preset"}
    assert reached >= {*LESSONS, *CONTROLS, "run", "step", "reset", "pace"} - only_of_images


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_its_window_and_axe_finds_nothing_serious(
    browser: webdriver.Chrome, width: int, scheme: str
) -> None:
    with showing(browser, width, scheme):
        for name in ("ring", "product", "images"):
            choose(browser, "data", name)
            find(browser, "#step").click()
            wait(browser, lambda: step(browser) == 1)
            assert script(browser, "document.documentElement.scrollWidth") <= width
            assert serious(browser) == []


def serious(browser: webdriver.Chrome) -> list[str]:
    browser.execute_script((files("axe_core_python") / "axe.min.js").read_text())
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
