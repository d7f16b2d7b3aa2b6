"""Headless Chromium with the live page of a display."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.process.harness import wait_until
from tests.process.kinds.servers import program

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)
# Runs before the page: collects what a hostile event would cause.
WATCH = """
window.violations = []; window.attacks = [];
addEventListener("securitypolicyviolation", (found) => violations.push(found.violatedDirective));
addEventListener("error", (found) => violations.push(String(found.message)));
window.alert = (text) => attacks.push(text);
"""


class Browser:
    """One page of Chromium. ``page`` opens the page of a sink."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})

    def page(self, url: str) -> None:
        self.driver.get("about:blank")  # a change of the fragment alone would not load the page again
        self.driver.get_log("browser")  # of the page before: its sink may have ended
        self.driver.get(url)
        self.wait_for_text("connection", "Connected")

    def js(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def element(self, id: str) -> WebElement:
        return self.driver.find_element(By.ID, id)

    def text(self, id: str) -> str:
        return self.element(id).text

    def rows(self) -> list[list[str]]:
        """The texts of the cells, without the time."""
        cells = "[...row.cells].slice(1).map(cell => cell.innerText)"
        return list(self.js(f"return [...document.querySelectorAll('#rows tr')].map(row => {cells})"))

    def wait_for_rows(self, count: int) -> list[list[str]]:
        wait_until(lambda: len(self.rows()) == count, f"{count} rows", self.rows)
        return self.rows()

    def wait_for_text(self, id: str, words: str) -> str:
        def has_words() -> bool:
            try:
                return words in self.text(id)
            except StaleElementReferenceException:
                return False

        wait_until(has_words, f"{words!r} in #{id}", lambda: self.text(id))
        return self.text(id)

    def problems(self) -> list[Any]:
        """Violations of the content security policy, errors, and scripts of events that ran."""
        log = [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        return [*self.js("return [...violations, ...attacks]"), *log]


@contextmanager
def chromium(size: str = "1280,900") -> Iterator[Browser]:
    """A new profile each time. Skips the test without Chromium; in CI that is a failure."""
    binary, driver = program("chromium", "chromium"), program("chromedriver", "chromium-driver")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for flag in (*FLAGS, f"--window-size={size}", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        started = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield Browser(started)
        finally:
            started.quit()
