"""A page in a real browser: open it, use it as a reader does, ask what it requested."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split()
Driver = Any  # selenium may not be installed where the types are checked


def started(profile: Path) -> Iterator[Driver]:
    """Yield a driver of Chromium, and stop it afterwards; skip where there is none."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("there is no Chromium with its chromedriver on this machine")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def show(
    driver: Driver, path: Path, *, width: int = 1200, dark: bool = False, whole: bool = False
) -> None:
    """Open a page at a width, in light or dark; ``whole`` opens all its parts."""
    driver.get_log("browser")
    driver.get_log("performance")
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(path.as_uri())
    if whole:
        driver.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")
        wait(driver, "return document.querySelectorAll('.entry').length > 0")


def requests(driver: Driver) -> list[str]:
    """Return every address that was asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def wait(driver: Driver, script: str) -> Any:
    """Return the value of a script as soon as it is true."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 10).until(lambda d: d.execute_script(script))


def find_all(driver: Driver, selector: str) -> list[Any]:
    """Return the elements of a selector."""
    found: list[Any] = driver.find_elements("css selector", selector)
    return found
