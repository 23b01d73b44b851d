"""The page's view of the discriminator, in a real browser."""

import math
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import drawwell
from tests.serve.behind import listening
from tests.serve.http.chromium import Chromium, needs_chromium

pytestmark = [needs_chromium, pytest.mark.slow]

OPINION = "#opinions figure"
HOSTILE = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def emoji() -> Iterator[str]:
    """The URL of a server with a discriminator."""
    with listening("emoji") as url:
        yield url


@pytest.fixture(scope="module")
def pictures(emoji: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    with drawwell.open(emoji) as generator:
        digest = generator.digest
    found = [folder / "first.png", folder / HOSTILE]
    for index, file in enumerate(found):
        file.write_bytes(httpx.get(f"{emoji}/images/{digest}/7/{index}.png").content)
    return found


def judged(browser: Chromium, count: int) -> list[str]:
    browser.until(lambda: len(browser.every(OPINION)) == count, f"{count} opinions")
    return [one.text for one in browser.every(OPINION)]


def test_chosen_pictures_get_the_answers_of_the_route(emoji: str, browser: Chromium, pictures: list[Path]) -> None:
    browser.show(f"{emoji}/#view=judge")
    browser.until(lambda: browser.one("#drop").is_displayed())
    browser.one("#chosen").send_keys("\n".join(map(str, pictures)))
    shown = judged(browser, 2)
    for file, text in zip(reversed(pictures), shown, strict=True):
        headers = {"Content-Type": "image/png"}
        (wanted,) = httpx.post(f"{emoji}/judge", content=file.read_bytes(), headers=headers).json()["pictures"]
        assert text.startswith(file.name)
        assert f"More real than {math.floor(wanted['percentile_real'])} % of real pictures" in text
        assert f"More real than {math.floor(wanted['percentile_drawn'])} % of drawn pictures" in text
        assert f"Most likely {wanted['class']}" in text
    assert "training held out" in browser.one("#about-judge").text
    browser.one(f"{OPINION} button").click()
    judged(browser, 1)


def test_a_dropped_and_a_pasted_picture_are_judged(emoji: str, browser: Chromium) -> None:
    browser.show(f"{emoji}/#view=judge")
    browser.until(lambda: browser.one("#drop").is_displayed())
    give = """return (async () => {
      const model = await (await fetch("model")).json();
      const png = await (await fetch(`images/${model.digest}/7/0.png`)).blob(), data = new DataTransfer();
      data.items.add(new File([png], "given.png", { type: "image/png" }));
      const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      const paste = new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
      document.getElementById("drop").dispatchEvent(arguments[0] ? drop : paste);
      return drop.defaultPrevented;
    })()"""
    assert browser.run(give, True), "the browser does not open the file itself"
    judged(browser, 1)
    browser.run(give, False)
    assert all(text.startswith("given.png") for text in judged(browser, 2))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious_and_nothing_is_too_wide(
    emoji: str, browser: Chromium, pictures: list[Path], scheme: str, width: int
) -> None:
    with browser.on_a_screen(width, scheme):
        browser.show(f"{emoji}/#view=judge")
        browser.until(lambda: browser.one("#drop").is_displayed())
        browser.one("#chosen").send_keys(str(pictures[1]))
        judged(browser, 1)
        browser.check_accessible("judge")
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")


def test_a_picture_of_the_gallery_is_judged(emoji: str, browser: Chromium) -> None:
    browser.show(f"{emoji}/#image=3")
    browser.until(lambda: browser.one("#judge-this").is_displayed())
    browser.one("#judge-this").click()
    (text,) = judged(browser, 1)
    assert text.startswith("Picture 3 of seed 7")
    browser.back()
    browser.until(lambda: browser.one("#enlarged").is_displayed())


def test_what_is_no_picture_is_a_sentence_and_costs_no_other(
    emoji: str, browser: Chromium, pictures: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    browser.show(f"{emoji}/#view=judge")
    browser.until(lambda: browser.one("#drop").is_displayed())
    browser.one("#chosen").send_keys(f"{tmp_path / 'notes.png'}\n{pictures[0]}")
    good, bad = judged(browser, 2)
    assert good.startswith("first.png") and "More real than" in good
    assert "'notes.png' is no picture in one of the formats" in bad
    browser.until(lambda: browser.text("#status") == "")
    assert any("422" in one for one in browser.errors()), "Chromium itself writes a line for the reply"


def test_without_a_discriminator_there_is_no_such_view(browser: Chromium) -> None:
    with listening("fashion") as url:
        browser.show(f"{url}/#view=judge")
        browser.until(lambda: "no discriminator" in browser.one("#notice").text)
        assert not browser.one("a[data-view=judge]").is_displayed()
        assert browser.one("#gallery").is_displayed()
