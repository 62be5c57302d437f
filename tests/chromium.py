"""The browser that judges the HTML report: the system's Chromium, driven without a display and without a network."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_program(path: str) -> str:
    """The browser on this search path. Fails the test without one, for a page that nobody opened is an unchecked page."""
    found = next(filter(None, (shutil.which(name, path=path) for name in NAMES)), None)
    if found is None:
        pytest.fail(
            "chromium is not on the PATH: install it, with `sudo apt-get install chromium` on Debian and Ubuntu,"
            " or see https://www.chromium.org/getting-involved/download-chromium",
            pytrace=False,
        )
    return found


@contextmanager
def open_browser() -> Iterator[Browser]:
    """The browser. Root has no sandbox; what is opened is our own page."""
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_program(os.environ.get("PATH", "")), args=arguments)
        yield browser
        browser.close()
