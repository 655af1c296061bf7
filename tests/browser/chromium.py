"""Debian's Chromium, without a window and without a word to the outside."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

CHROMIUM = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")
WIDTH, HEIGHT = 1360, 1000
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    f"--window-size={WIDTH},{HEIGHT}",
    # Prefect's page asks for a configuration of its analytics, whatever the server's settings say
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
COLOURS = 128
PICTURES = os.environ.get("BRANCHLINE_TEST_SCREENSHOTS")
"""Where pictures are put; without it, none are taken."""


def require_chromium() -> None:
    """Skips the test where there is none; fails it where all must run."""
    missing = [path for path in (CHROMIUM, DRIVER) if not path.exists()]
    if missing:
        why = f"{missing[0]} is missing: apt-get install chromium chromium-driver"
        if os.environ.get("BRANCHLINE_TEST_REQUIRE_ALL"):
            pytest.fail(why)
        pytest.skip(why)


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """Ended afterwards, with all its processes."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def take_picture(driver: webdriver.Chrome, name: str, height: int = HEIGHT) -> None:
    if PICTURES:
        driver.set_window_size(WIDTH, height)
        picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(
            Path(PICTURES) / f"{name}.png", optimize=True
        )
        driver.set_window_size(WIDTH, HEIGHT)
