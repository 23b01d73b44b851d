"""The page in a real browser: every control does what it says, and the console stays silent."""

import http.server
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageSequence
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

import drawwell as library
from drawwell.addresses.latents import labels as labels_of_addresses
from drawwell.files.card import KnownAnswers
from drawwell_serve.http.page_files import FILES, VERSION
from tests import graphs
from tests.serve.behind import listening
from tests.serve.http.chromium import Chromium, needs_chromium

pytestmark = [needs_chromium, pytest.mark.slow]

KEY = "a-key_of.tests~"
HOSTILE = "<img src=x onerror=\"document.title='taken'\">'; touch taken #"
MOST_BYTES = 60_000
SEES_PICTURES = "return Boolean(document.elementFromPoint(300, 400).closest('button[data-index]'))"
TILES = "#pictures button[data-index]"


@pytest.fixture(scope="module")
def fashion() -> Iterator[str]:
    """The URL of a server."""
    with listening("fashion") as url:
        yield url


@pytest.fixture(scope="module")
def generator() -> Iterator[library.ImageGenerator]:
    with library.open("fashion") as one:
        yield one


def grey(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """uint8 ``[H, W, 1]`` of grey pixels ``[H, W, 3]``."""
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., :1]


def opened(browser: Chromium, url: str, selector: str = TILES) -> Chromium:
    browser.show(url)
    browser.until(lambda: browser.every(selector), f"{selector} at {url}")
    return browser


def fragment(browser: Chromium) -> str:
    return browser.current_url.partition("#")[2]


def indices(browser: Chromium) -> list[int]:
    script = "return [...document.querySelectorAll(arguments[0])].map(tile => tile.dataset.index)"
    return [int(index) for index in browser.run(script, TILES)]


def shown_first(browser: Chromium, words: str) -> None:
    browser.until(lambda: browser.every(f'{TILES}[title="{words}"]'), words)


def shows(browser: Chromium, selector: str, image: npt.NDArray[np.uint8]) -> None:
    """Wait until an image or a canvas shows these grey pixels."""
    browser.until(lambda: np.array_equal(grey(browser.pixels(selector)), image), f"{selector} does not show them")


def requested(browser: Chromium) -> list[str]:
    return list(browser.run("return performance.getEntriesByType('resource').map(one => one.name)"))


def test_the_gallery_is_one_request_and_shows_the_pixels_of_the_addresses(
    fashion: str, browser: Chromium, generator: library.ImageGenerator
) -> None:
    opened(browser, fashion)
    some = indices(browser)
    assert some[:150] == list(range(150))
    batch = generator.generate(7, 50)
    for index in (0, 49):
        image = f'{TILES}[data-index="{index}"] img'
        shows(browser, image, batch.images[index])
        assert batch.labels is not None
        assert generator.card.class_names[batch.labels[index]] in browser.attribute(image, "alt")
    with_pictures = [url for url in requested(browser) if "/shards/" in url or "/generate" in url or "/images/" in url]
    assert len(with_pictures) <= 2, "the second is the page below the window"
    assert all(url.startswith((fashion, f"blob:{fashion}")) for url in requested(browser))


def test_the_url_says_what_is_shown_and_shows_it_to_others(
    fashion: str, browser: Chromium, generator: library.ImageGenerator
) -> None:
    opened(browser, fashion)
    browser.write("#seed", 11)
    browser.write("#index", 4200)
    browser.set("#label", 8)
    browser.set("#spread", 0.7)
    browser.until(lambda: fragment(browser) == "seed=11&index=4200&label=Bag&truncation=0.7")
    shown_first(browser, "Picture 4200 of seed 11, Bag")
    wanted = generator.generate(11, 1, start=4200, labels="Bag", truncation=0.7).images[0]
    picture = f'{TILES}[data-index="4200"] img'
    shows(browser, picture, wanted)
    opened(browser, f"{fashion}/#seed=11&index=4200&label=Bag&truncation=0.7", picture)
    shows(browser, picture, wanted)
    assert browser.one("#seed").get_attribute("value") == "11"
    assert browser.one("#spread").get_attribute("value") == "0.7"


def test_earlier_random_and_back(fashion: str, browser: Chromium) -> None:
    opened(browser, f"{fashion}/#seed=11&index=100")
    browser.one("#earlier").click()
    browser.until(lambda: indices(browser)[0] == 0)
    assert not browser.one("#earlier").is_displayed()
    browser.back()
    browser.until(lambda: indices(browser)[0] == 100)
    browser.one("#random").click()
    browser.until(lambda: "seed=11" not in fragment(browser) and indices(browser)[0] == 0)


def test_the_gallery_has_no_end_and_stays_small(fashion: str, browser: Chromium) -> None:
    opened(browser, fashion)

    while max(indices(browser)) < 1500:
        browser.run("scrollBy(0, 1500)")
        browser.until(lambda: browser.run(SEES_PICTURES), "pictures come where a person scrolls to")
    browser.until(lambda: len(indices(browser)) < 1300, "pages far above the window are emptied")
    browser.until(
        lambda: int(fragment(browser).split("index=")[1]) > 500, "the URL names the row at the top of the window"
    )
    browser.run("scrollTo(0, 0)")
    browser.until(lambda: 0 in indices(browser))
    again = (
        "return performance.getEntriesByType('resource').filter(one => one.name.includes('/7/0-')).at(-1).transferSize"
    )
    assert browser.run(again) == 0, "the browser still has the pictures"


def test_pages_that_a_person_scrolls_past_are_not_asked_for(fashion: str, browser: Chromium) -> None:
    opened(browser, fashion)
    fling = """return (async () => {
      for (let frame = 0; frame < 30; frame++) {
        scrollTo(0, document.body.scrollHeight);
        await new Promise(requestAnimationFrame);
      }
    })()"""
    browser.run(fling)
    browser.until(lambda: browser.run(SEES_PICTURES), "pictures come where a person stops")
    passed = [url for url in requested(browser) if "/shards/" in url]
    assert len(passed) < len(browser.every("#pictures ul")) / 2, "most pages that were passed are not asked for"


def test_the_last_index(fashion: str, browser: Chromium) -> None:
    opened(browser, f"{fashion}/#seed=7&index={2**63 - 5}")
    assert indices(browser) == list(range(2**63 - 5, 2**63))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("seed=x", "The seed must be a whole number from 0 to 2^63 - 1, not x."),
        (f"index={2**63}", "The index must be a whole number from 0 to 2^63 - 1"),
        ("label=Hat", "This generator has no class Hat."),
        ("truncation=2", "truncation must be above 0 and at most 1, not 2."),
        ("view=directions&shifts=1,x", "shifts must be numbers from -4 to 4, not x."),
        ("view=attic", "view must be one of gallery, walk, directions, mix, judge, generator, use, not attic."),
    ],
)
def test_a_wrong_url_is_said(fashion: str, browser: Chromium, wrong: str, sentence: str) -> None:
    browser.show(f"{fashion}/#{wrong}")
    browser.until(lambda: sentence in browser.text("#notice"), sentence)


def test_a_wrong_number_in_a_field_is_said(fashion: str, browser: Chromium) -> None:
    opened(browser, fashion)
    browser.write("#seed", "-1")
    browser.until(lambda: "The seed must be a whole number" in browser.text("#notice"))
    assert browser.one("#seed").get_attribute("aria-invalid") == "true"


def test_the_keyboard_is_enough(fashion: str, browser: Chromium) -> None:
    opened(browser, fashion)
    tile = browser.one(TILES)
    browser.run("arguments[0].focus()", tile)
    tile.send_keys(Keys.ARROW_RIGHT)
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    below = int(browser.switch_to.active_element.get_attribute("data-index") or 0)
    assert below > 5
    browser.switch_to.active_element.send_keys(Keys.ARROW_UP)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    browser.until(lambda: browser.one("#picture").is_displayed())
    assert browser.text("#picture-heading").startswith("Picture 1 of seed 7")
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    browser.until(lambda: browser.text("#picture-heading").startswith("Picture 2 of"))
    assert "image=2" in fragment(browser)
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    browser.until(lambda: not browser.one("#picture").is_displayed())
    browser.until(lambda: "image" not in fragment(browser))
    assert browser.switch_to.active_element.get_attribute("data-index") == "1"


@pytest.mark.parametrize("more", ["", "&label=T-shirt/top&spread=1.3"])
def test_the_same_picture_elsewhere(
    fashion: str, browser: Chromium, generator: library.ImageGenerator, tmp_path: Path, more: str
) -> None:
    """What curl, Python, the URL and the download give is the picture that is shown."""
    opened(browser, f"{fashion}/#seed=7&index=42&image=45{more}", ".snippet")
    choice: dict[str, Any] = {"labels": "T-shirt/top", "spread": 1.3} if more else {}
    wanted = generator.generate(7, 1, start=45, **choice).images[0]
    np.testing.assert_array_equal(grey(browser.pixels("#enlarged")), wanted)
    size = browser.one("#enlarged").size
    assert size["width"] % 28 == 0 and size["width"] > 100, "every pixel is a whole square"
    curl, python, url = (text.text for text in browser.every(".snippet pre"))
    subprocess.run(["bash", "-c", curl], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "7-45.png"))[..., None], wanted)
    code = f"{python}\nimport numpy\nnumpy.save('drawn.npy', image)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "drawn.npy"), wanted)
    if not more:
        assert httpx.get(url).content == (tmp_path / "7-45.png").read_bytes()
    (saved := tmp_path / "saved").mkdir()
    browser.downloads(saved)
    browser.one("#download").click()
    browser.until(lambda: (saved / "fashion-7-45.png").exists())
    assert (saved / "fashion-7-45.png").read_bytes() == (tmp_path / "7-45.png").read_bytes()


def is_copied(button: WebElement) -> bool:
    return button.text == "Copied"


def allow_clipboard(browser: Chromium, url: str) -> None:
    grant = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": url}
    browser.execute_cdp_cmd("Browser.grantPermissions", grant)


def test_what_is_copied(fashion: str, browser: Chromium) -> None:
    opened(browser, f"{fashion}/#seed=7&index=0&image=45", ".snippet")
    allow_clipboard(browser, fashion)
    read = "return navigator.clipboard.readText()"
    browser.one("#copy-link").click()
    browser.until(lambda: browser.one("#copy-link").text == "Copied")
    assert browser.run(read) == f"{fashion}/#seed=7&index=45&image=45"
    for button, text in zip(browser.every(".snippet button"), browser.every(".snippet pre"), strict=True):
        button.click()
        browser.until(partial(is_copied, button))
        assert browser.run(read) == text.text
    browser.one("#next").click()
    browser.until(lambda: browser.text("#picture-heading").startswith("Picture 46 "))
    browser.one("#previous").click()
    browser.until(lambda: browser.text("#picture-heading").startswith("Picture 45 "))
    browser.one(".close").click()
    browser.until(lambda: not browser.one("#picture").is_displayed())


def test_a_walk_between_two_pictures(
    fashion: str, browser: Chromium, generator: library.ImageGenerator, tmp_path: Path
) -> None:
    opened(browser, f"{fashion}/#seed=7&index=0&image=3", ".snippet")
    browser.one("#walk-from").click()
    browser.until(lambda: browser.text("#picking span") == "Choose the picture where the walk ends.")
    browser.one(f'{TILES}[data-index="9"]').click()
    browser.set("#steps", 16)
    browser.set("#walk-label", 3)
    browser.until(lambda: fragment(browser) == "view=walk&from=7/3&to=7/9&steps=16&label=Dress")
    wanted = generator.interpolate((7, 3), (7, 9), 16, labels="Dress").images
    for step in (15, 6, 0):
        browser.until(lambda: browser.one("#step").get_attribute("max") == "15")
        browser.set("#step", step)
        shows(browser, "#frame", wanted[step])
    browser.one("#play").click()
    browser.until(lambda: browser.text("#step-value") not in ("", "0 of 15"))
    browser.one("#play").click()
    assert browser.one("#play").text == "Play"
    check_film(browser, tmp_path, wanted)
    browser.one("#swap").click()
    browser.until(lambda: "from=7/9&to=7/3" in fragment(browser))
    browser.write("#to-index", 5)
    browser.until(lambda: "to=7/5" in fragment(browser))
    browser.one("#pick-from").click()
    browser.until(lambda: browser.every(TILES))
    browser.one("#picking button").click()
    assert not browser.one("#picking").is_displayed()


def test_walks_mixes_and_directions_begin_where_their_fields_say(fashion: str, browser: Chromium) -> None:
    opened(browser, f"{fashion}/#view=walk&from=7/3&to=7/9&steps=16", "#step[max='15']")
    for field, number in (("#from-seed", 8), ("#from-index", 4), ("#to-seed", 10)):
        browser.write(field, number)
    browser.until(lambda: "from=8/4&to=10/9" in fragment(browser))
    browser.one("#pick-to").click()
    browser.until(lambda: browser.every(f'{TILES}[data-index="12"]'))
    browser.one(f'{TILES}[data-index="12"]').click()
    browser.until(lambda: "from=8/4&to=" in fragment(browser) and "/12&" in fragment(browser))
    opened(browser, f"{fashion}/#image=3", ".snippet")
    browser.one("#mix-here").click()
    browser.until(lambda: browser.one("#mix").is_displayed())
    browser.write("#mix-seed", 11)
    browser.until(lambda: fragment(browser) == "view=mix&seed=11&index=3")
    opened(browser, f"{fashion}/#view=directions", "#sliders input")
    browser.write("#directions-seed", 12)
    browser.until(lambda: browser.text("#moved-words").startswith("Picture 0 of seed 12"))


def check_film(browser: Chromium, folder: Path, wanted: npt.NDArray[np.uint8]) -> None:
    """The animation holds the walk there and back, every pixel a square of its own colour."""
    browser.downloads(folder)
    browser.one("#save").click()
    browser.until(lambda: (folder / "fashion-7-3-to-7-9.webp").exists())
    film = Image.open(folder / "fashion-7-3-to-7-9.webp")
    frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
    there_and_back = [*wanted, *wanted[-2:0:-1]]
    assert len(frames) == len(there_and_back)
    factor = len(frames[0]) // 28
    for frame, image in zip(frames, there_and_back, strict=True):
        np.testing.assert_array_equal(frame, image.repeat(factor, 0).repeat(factor, 1).repeat(3, 2))


def test_a_walk_between_classes_ends_in_the_two_pictures(
    fashion: str, browser: Chromium, generator: library.ImageGenerator
) -> None:
    opened(browser, f"{fashion}/#view=walk&from=7/0&to=7/1&steps=16", "#step[max='15']")
    ends = generator.generate(7, 2).images
    for step, image in ((0, ends[0]), (15, ends[1])):
        browser.set("#step", step)
        np.testing.assert_allclose(grey(browser.pixels("#frame")).astype(int), image, atol=1)


def test_the_frames_of_a_walk(
    fashion: str, browser: Chromium, generator: library.ImageGenerator, tmp_path: Path
) -> None:
    opened(browser, f"{fashion}/#view=walk&from=7/3&to=7/9&steps=16&label=Dress", "#step[max='15']")
    browser.downloads(tmp_path)
    browser.one("#save-frames").click()
    browser.until(lambda: (tmp_path / "fashion-7-3-to-7-9.tar").exists())
    wanted = generator.interpolate((7, 3), (7, 9), 16, labels="Dress").images
    with tarfile.open(tmp_path / "fashion-7-3-to-7-9.tar") as frames:
        assert frames.getnames() == [f"{step:03}.png" for step in range(16)]
        for member, image in zip(frames, wanted, strict=True):
            assert member.isreg() and member.mode == 0o644
            png = frames.extractfile(member)
            assert png is not None
            np.testing.assert_array_equal(np.asarray(Image.open(png))[..., None], image)


def test_a_browser_that_writes_no_webp_is_told_so(fashion: str, browser: Chromium) -> None:
    """Safari answers with a PNG where a canvas is asked for WebP."""
    as_safari = "HTMLCanvasElement.prototype.toDataURL = () => 'data:image/png;base64,'"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": as_safari})
    try:
        opened(browser, f"{fashion}/#view=walk&steps=16", "#step[max='15']")
        assert "This browser does not write WebP" in browser.one("#no-webp").text
        assert not browser.one("#save").is_displayed()
        assert browser.one("#save-frames").is_displayed()
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def moved(
    generator: library.ImageGenerator, url: str, index: int, shifts: dict[int, float], label: Any
) -> npt.NDArray[np.uint8]:
    """The image of an address of seed 7, moved by so many standard deviations along these directions."""
    at = httpx.get(f"{url}/latents/{generator.digest}/7/{index}.json").json()
    z = np.array(at["latents"])
    for which, by in shifts.items():
        z += by * np.array(at["directions"][which])
    image: npt.NDArray[np.uint8] = generator.generate(
        latents=z[None], labels=at["label"] if label is None else label
    ).images[0]
    return image


def test_a_picture_moves_along_the_directions(
    fashion: str, browser: Chromium, generator: library.ImageGenerator
) -> None:
    opened(browser, f"{fashion}/#seed=7&index=0&image=5", ".snippet")
    browser.one("#change-here").click()
    browser.until(lambda: len(browser.every("#sliders input")) == 8)
    shows(browser, "#moved", generator.generate(7, indices=[5]).images[0])
    browser.set("#direction-1", 2.5)
    wanted = moved(generator, fashion, 5, {1: 2.5}, None)
    shows(browser, "#moved", wanted)
    assert browser.text("#direction-1-value") == "2.5"
    assert fragment(browser) == "view=directions&seed=7&index=5&shifts=0,2.5,0,0,0,0,0,0"
    opened(browser, f"{fashion}/#{fragment(browser)}", "#sliders input")
    shows(browser, "#moved", wanted)
    browser.set("#directions-label", 8)
    shows(browser, "#moved", moved(generator, fashion, 5, {1: 2.5}, "Bag"))
    assert browser.text("#moved-words") == "Picture 5 of seed 7, Bag, moved"
    browser.set("#direction-0", -4)
    shows(browser, "#moved", moved(generator, fashion, 5, {0: -4, 1: 2.5}, "Bag"))
    browser.one("#reset").click()
    shows(browser, "#moved", generator.generate(7, indices=[5], labels="Bag").images[0])
    browser.write("#directions-index", 6)
    shows(browser, "#moved", generator.generate(7, indices=[6], labels="Bag").images[0])
    browser.one("#directions-random").click()
    browser.until(lambda: "seed=7&" not in fragment(browser))


def test_a_moved_picture_is_saved_and_its_link_copied(
    fashion: str, browser: Chromium, generator: library.ImageGenerator, tmp_path: Path
) -> None:
    opened(browser, f"{fashion}/#view=directions&seed=7&index=5&shifts=1,0,-1", "#sliders input")
    wanted = moved(generator, fashion, 5, {0: 1, 2: -1}, None)
    shows(browser, "#moved", wanted)
    browser.downloads(tmp_path)
    browser.one("#save-moved").click()
    browser.until(lambda: (tmp_path / "fashion-7-5-moved.png").exists())
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "fashion-7-5-moved.png"))[..., None], wanted)
    allow_clipboard(browser, fashion)
    browser.one("#copy-moved").click()
    browser.until(lambda: browser.one("#copy-moved").text == "Copied")
    assert browser.run("return navigator.clipboard.readText()") == browser.current_url


def test_the_last_place_of_a_slider_is_drawn(
    fashion: str, browser: Chromium, generator: library.ImageGenerator
) -> None:
    """A person slides faster than pictures come: none is drawn out of turn, and the last one stays."""
    opened(browser, f"{fashion}/#view=directions&seed=7&index=5", "#sliders input")
    slide = """
      const slider = document.querySelector("#direction-0");
      for (let place = -4; place <= 3; place += 0.1) { slider.value = place; slider.dispatchEvent(new Event("input")); }
    """
    browser.run(slide)
    last = float(browser.attribute("#direction-0", "value"))
    shows(browser, "#moved", moved(generator, fashion, 5, {0: last}, None))
    assert sum("/generate" in url for url in requested(browser)) < 6, "70 places were passed"


def test_the_generator_of_an_address_moves_it(browser: Chromium) -> None:
    with listening("fashion-mixture") as url, library.open("fashion-mixture") as mixture:
        members: dict[int, int] = {}
        for index in range(20):
            members.setdefault(httpx.get(f"{url}/latents/{mixture.digest}/7/{index}.json").json()["member"], index)
        assert len(members) == 3
        for index in members.values():
            opened(browser, f"{url}/#view=directions&seed=7&index={index}", "#sliders input")
            shows(browser, "#moved", mixture.generate(7, indices=[index]).images[0])


def test_the_same_latents_under_every_class(fashion: str, browser: Chromium, generator: library.ImageGenerator) -> None:
    opened(browser, f"{fashion}/#view=mix&seed=7&index=0", "#classes td")
    browser.one("#mix-later").click()
    browser.until(lambda: browser.text("#classes tbody th") == "8")
    assert [cell.text for cell in browser.every("#classes thead th")] == ["Index", *generator.card.class_names]
    assert len(browser.every("#classes td")) == 80
    wanted = generator.generate(7, indices=[9], labels="Bag").images[0]
    cell = '#classes button[data-index="9"][data-label="8"]'
    np.testing.assert_array_equal(grey(browser.pixels(f"{cell} img")), wanted)
    browser.one(cell).click()
    browser.until(lambda: browser.one("#picture").is_displayed())
    assert browser.text("#picture-heading") == "Picture 9 of seed 7, Bag"
    browser.one(".close").click()
    browser.until(lambda: "label" not in fragment(browser))
    browser.one("#mix-earlier").click()
    browser.until(lambda: browser.text("#classes tbody th") == "0")
    browser.write("#mix-index", 30)
    browser.until(lambda: browser.text("#classes tbody th") == "30")
    browser.one("#mix-random").click()
    browser.until(lambda: "seed=7&" not in fragment(browser))


def is_seen(browser: Chromium, selector: str) -> bool:
    return any(one.is_displayed() for one in browser.every(selector)[:1])


def test_the_views_keep_what_is_shown(fashion: str, browser: Chromium) -> None:
    opened(browser, f"{fashion}/#seed=11&index=20")
    for view, selector in (
        ("directions", "#sliders input"),
        ("mix", "#classes td"),
        ("generator", "#generator dl"),
        ("use", "#use pre"),
    ):
        browser.one(f"nav a[data-view={view}]").click()
        browser.until(partial(is_seen, browser, selector))
        assert browser.one(f"nav a[data-view={view}]").get_attribute("aria-current") == "page"
    browser.one("nav a[data-view=walk]").click()
    browser.until(lambda: "from=11/20&to=11/21" in fragment(browser))
    browser.one("nav a[data-view=gallery]").click()
    browser.until(lambda: indices(browser)[:1] == [20])


def test_a_person_gives_the_key_and_only_the_tab_keeps_it(window: Chromium, tmp_path: Path) -> None:
    (file := tmp_path / "key").write_text(KEY)
    with listening("fashion", key_file=str(file)) as url:
        give_and_forget_the_key(window, url)


def give_and_forget_the_key(browser: Chromium, url: str) -> None:
    browser.show(f"{url}/#seed=11&index=42")
    browser.until(lambda: browser.one("#key").is_displayed())
    browser.check_accessible("the form for the key")
    browser.write("#key", "a-wrong-key")
    browser.until(lambda: browser.text("#key-error") == "The server does not take this key.")
    browser.write("#key", KEY)
    browser.until(lambda: indices(browser)[:1] == [42])
    kept = browser.run("return [Object.values(sessionStorage), localStorage.length, document.cookie, location.href]")
    assert kept == [[KEY], 0, "", f"{url}/#seed=11&index=42"]
    browser.one(TILES).click()
    browser.until(lambda: browser.every(".snippet"))
    assert "Bearer $DRAWWELL_KEY" in browser.text(".snippet pre")
    assert KEY not in browser.run("return document.documentElement.outerHTML")
    browser.refresh()
    browser.until(lambda: browser.every(".snippet"))
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get(url)
    browser.until(lambda: browser.one("#key").is_displayed())
    browser.close()
    browser.switch_to.window(first)
    browser.one(".close").click()
    browser.one("#forget").click()
    browser.until(lambda: browser.every("#key") and browser.one("#key").is_displayed())
    assert browser.run("return sessionStorage.length") == 0
    assert all("401" in error for error in browser.errors()), "the browser reports the pages without a key"


def test_a_hostile_card_stays_text(browser: Chromium, tmp_path: Path) -> None:
    names = (HOSTILE, "plain", HOSTILE)
    label = labels_of_addresses(0, [0], len(names), graphs.DIM)[0]
    answers = KnownAnswers.of(0, (0,), np.full((1, *graphs.SHAPE), label, np.uint8), 0)
    quality = replace(graphs.QUALITY, extractor=HOSTILE, reference=HOSTILE)
    card = graphs.card(name=HOSTILE, class_names=names, known_answers=answers, quality=quality)
    with listening(graphs.write(tmp_path / "hostile.onnx", graphs.labelled_model(), card)) as url:
        see_that_names_are_text(browser, url, names, tmp_path)


def see_that_names_are_text(browser: Chromium, url: str, names: tuple[str, ...], tmp_path: Path) -> None:
    opened(browser, f"{url}/#label={HOSTILE.replace('#', '%23')}&image=0", ".snippet")
    assert browser.text("h1") == HOSTILE
    assert browser.text("#picture-heading") == f"Picture 0 of seed 7, {HOSTILE}"
    subprocess.run(["bash", "-c", browser.text(".snippet pre")], cwd=tmp_path, check=True, capture_output=True)
    assert not (tmp_path / "taken").exists()
    assert (tmp_path / "7-0.png").exists()
    opened(browser, f"{url}/#view=mix", "#classes td")
    assert [cell.text for cell in browser.every("#classes thead th")][1:] == [*names]
    assert browser.title != "taken"
    assert not browser.every("img[onerror]")


@pytest.fixture
def thousand(tmp_path: Path) -> Iterator[str]:
    """The URL of a server of a generator with a thousand classes."""
    names = [f"class {number}" for number in range(1000)]
    with listening(graphs.write_labelled(tmp_path / "thousand.onnx", *names)) as url:
        yield url


def test_a_thousand_classes(thousand: str, browser: Chromium) -> None:
    opened(browser, f"{thousand}/#label=class 200")
    assert len(browser.every("#label option")) == 1001
    shown_first(browser, "Picture 0 of seed 7, class 200")
    assert (browser.pixels(f"{TILES} img") == 200).all()
    opened(browser, f"{thousand}/#view=mix&index=5", "#classes figure")
    assert len(browser.every("#classes figure")) == 1000
    assert (browser.pixels('#classes [data-label="77"] img') == 77).all()
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[str]:
    """The URL of a server of a generator without classes that answers few images at once."""
    with listening(graphs.write(tmp_path / "plain.onnx", graphs.plain_model()), max_count=50) as url:
        yield url


def test_a_generator_without_classes(plain: str, browser: Chromium) -> None:
    opened(browser, plain)
    assert not browser.one("#label").is_displayed()
    assert not browser.one("nav a[data-view=mix]").is_displayed()
    opened(browser, f"{plain}/#view=mix")
    assert browser.text("#notice") == "This generator has no classes to mix."
    opened(browser, f"{plain}/#view=walk&steps=32", "#step[max='31']")
    assert not browser.one("#walk-label").is_displayed()
    assert (browser.pixels("#frame") == 7).all()
    opened(browser, f"{plain}/#view=directions", "#moved[src]")
    assert "This generator has no directions" in browser.one("#no-directions").text
    assert not browser.one("#reset").is_displayed()


def test_without_javascript_there_are_pictures_commands_and_the_card(fashion: str, browser: Chromium) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(fashion)
        pictures = browser.every("noscript img")
        assert len(pictures) == 48
        browser.until(lambda: pictures[0].size["width"] == 84 and pictures[0].get_attribute("naturalWidth") == "28")
        assert pictures[0].is_displayed()
        assert browser.one("#use pre").is_displayed()
        assert browser.one("#generator table").is_displayed()
        assert not browser.one("nav").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_slow_network(fashion: str, browser: Chromium) -> None:
    """A person sees what comes, and the last thing that they asked for is what is shown."""
    slow = {"offline": False, "latency": 400, "downloadThroughput": 40_000, "uploadThroughput": 40_000}
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
    try:
        browser.show(f"{fashion}/#seed=20&index=0")  # no other test has it in the cache
        browser.until(lambda: browser.one("#seed").is_displayed(), "the fields are there before the pictures")
        assert browser.attribute("#pictures", "aria-busy") == "true"
        for seed in (21, 22, 23):
            browser.write("#seed", seed)
        browser.until(lambda: browser.every(TILES))
        assert browser.attribute(TILES, "title").startswith("Picture 0 of seed 23, ")
        assert browser.attribute("#pictures", "aria-busy") == "false"
    finally:
        browser.get("about:blank")
        browser.execute_cdp_cmd("Network.disable", {})


def test_a_server_that_does_not_answer_can_be_asked_again(fashion: str, window: Chromium) -> None:
    window.execute_cdp_cmd("Network.enable", {})
    window.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/shards/*"]})
    try:
        opened(window, f"{fashion}/#seed=12&index=0", "#pictures .retry")
        assert window.text("#notice") == "The server does not answer."
    finally:
        window.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        window.execute_cdp_cmd("Network.disable", {})
    window.one("#pictures .retry").click()
    window.until(lambda: window.every(TILES))
    assert window.text("#notice") == ""
    window.errors()


def test_behind_a_prefix_of_a_proxy(fashion: str, browser: Chromium) -> None:
    with prefixing(fashion, "/wells/clothes") as url:
        opened(browser, f"{url}/wells/clothes/#seed=7&index=0&image=4", ".snippet")
        assert f"{url}/wells/clothes/images/" in browser.text(".snippet pre")
        assert f"curl {url}/wells/clothes/generate" in browser.text("#use pre")
        opened(browser, f"{url}/wells/clothes/#label=Bag")
        browser.get("about:blank")  # before the proxy ends, and the next page of the gallery with it


class prefixing:  # noqa: N801 - used as a function
    """A proxy that removes ``prefix`` and says so in X-Forwarded-Prefix."""

    def __init__(self, server: str, prefix: str) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.forward()

            def do_POST(self) -> None:
                self.forward()

            def forward(self) -> None:
                if not self.path.startswith(f"{prefix}/"):
                    self.send_error(404)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name != "Connection"}
                target = server + self.path.removeprefix(prefix)
                reply = httpx.request(
                    self.command, target, headers=headers | {"X-Forwarded-Prefix": prefix}, content=body, timeout=None
                )
                self.send_response(reply.status_code)
                for name in ("content-type", "content-security-policy", "cache-control"):
                    if name in reply.headers:
                        self.send_header(name, reply.headers[name])
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                self.wfile.write(reply.content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious_and_nothing_is_too_wide(
    fashion: str, browser: Chromium, scheme: str, width: int
) -> None:
    views = {
        "": TILES,
        "image=4": ".snippet",
        "view=walk&steps=16": "#step[max='15']",
        "view=directions": "#moved[src]",
        "view=mix": "#classes td",
        "view=generator": "#generator table",
        "view=use": "#use pre",
    }
    with browser.on_a_screen(width, scheme):
        for shown, selector in views.items():
            opened(browser, f"{fashion}/#{shown}", selector)
            browser.check_accessible(shown)
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), shown


def test_the_page_weighs_little_and_its_files_are_kept_for_ever(fashion: str) -> None:
    page = httpx.get(fashion)
    files = [httpx.get(f"{fashion}/page/{VERSION}/{name}") for name in FILES]
    assert sum(one.num_bytes_downloaded for one in (page, *files)) < MOST_BYTES
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy and "http" not in policy and "data:" not in policy
    for name, content in FILES.items():
        reply = httpx.get(f"{fashion}/page/{VERSION}/{name}")
        assert reply.content == content
        assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert httpx.get(f"{fashion}/page/{'0' * 16}/main.js").status_code == 404
    assert httpx.get(f"{fashion}/page/{VERSION}/other.js").status_code == 404
