"""A real Chromium, headless, for the tests of the page."""

import base64
import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

WAIT_SECONDS = 60
PROGRAM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--force-prefers-reduced-motion",
    "--window-size=1280,900",
)
_PIXELS = """
const image = arguments[0], canvas = document.createElement("canvas");
if (image.naturalWidth === 0) return null; // it loads
canvas.width = image.naturalWidth || image.width;
canvas.height = image.naturalHeight || image.height;
canvas.getContext("2d").drawImage(image, 0, 0);
return canvas.toDataURL("image/png");
"""

needs_chromium = pytest.mark.skipif(not (PROGRAM and DRIVER), reason="no chromium and chromedriver")


class Chromium(webdriver.Chrome):
    """One window."""

    def show(self, url: str) -> None:
        """Open a URL as a new page, also if only its fragment is new."""
        self.get("about:blank")
        self.get(url)

    def one(self, selector: str) -> WebElement:
        return self.find_element(By.CSS_SELECTOR, selector)

    def every(self, selector: str) -> list[WebElement]:
        return self.find_elements(By.CSS_SELECTOR, selector)

    def until(self, happened: Callable[[], Any], what: str = "") -> Any:
        return WebDriverWait(self, WAIT_SECONDS, 0.05).until(lambda _: happened(), what)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.execute_script(script, *arguments)

    def attribute(self, selector: str, name: str) -> str:
        """An attribute of an element; empty if it has none."""
        return self.one(selector).get_attribute(name) or ""

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def set(self, selector: str, value: object) -> None:
        """Move a slider or choose from a list, as a person does."""
        script = "const field = document.querySelector(arguments[0]); field.value = arguments[1];"
        events = "for (const name of ['input', 'change']) field.dispatchEvent(new Event(name, {bubbles: true}))"
        self.run(script + events, selector, str(value))

    def write(self, selector: str, text: object) -> None:
        """Write into a field and press Enter."""
        field = self.one(selector)
        field.clear()
        field.send_keys(f"{text}\n")

    def pixels(self, selector: str) -> npt.NDArray[np.uint8]:
        """The pixels of an image, once it has loaded, or of a canvas: uint8 ``[H, W, 3]``."""
        url = self.until(lambda: self.run(_PIXELS, self.one(selector)), f"{selector} does not load")
        png = base64.b64decode(url.partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))

    def downloads(self, folder: Path) -> None:
        """Save downloads into ``folder``."""
        self.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})

    @contextmanager
    def on_a_screen(self, width: int, scheme: str) -> Iterator[None]:
        """Show pages ``width`` pixels wide, in the ``light`` or ``dark`` scheme."""
        metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        try:
            yield
        finally:
            self.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def check_accessible(self, shown: str) -> None:
        """Check that axe-core finds nothing serious."""
        self.run((files("axe_core_python") / "axe.min.js").read_text())
        found = self.execute_async_script("axe.run().then(arguments[0])")
        serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
        assert serious == [], (shown, json.dumps(serious, indent=1)[:3000])

    def errors(self) -> list[str]:
        """What the console has shown as errors since the last call."""
        return [str(line["message"]) for line in self.get_log("browser") if line["level"] == "SEVERE"]  # type: ignore[no-untyped-call]


@contextmanager
def chromium() -> Iterator[Chromium]:
    options = Options()
    options.binary_location = str(PROGRAM)
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = Chromium(options, Service(str(DRIVER)))
    try:
        yield window
    finally:
        window.quit()
