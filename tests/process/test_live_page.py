"""The live page of the display in headless Chromium."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.process.browser import Browser, chromium
from tests.process.harness import Start, display, free_port, wait_until
from tests.process.http_events import Flood, post

MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script><a href="javascript:alert(3)">x</a>'
REVERSED = "safe\u202egnp.exe"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def sink(start: Start) -> str:
    return display(start, "--statuses", "202,202,503")[1] + "/"


def press(browser: Browser, *keys: str) -> None:
    for key in keys:
        ActionChains(browser.driver).send_keys(key).perform()


def focused(browser: Browser) -> str:
    return str(browser.js("return document.activeElement.id || document.activeElement.localName"))


def test_page_shows_events_and_marks_dead_letters_and_failed_answers(browser: Browser, sink: str) -> None:
    browser.page(sink)
    assert f"curl {sink}" in browser.text("curl")
    error = {"knativeerrordest": "http://orders.shop/", "knativeerrorcode": "503"}
    post(sink, {"n": [1, {}]}, subject="first")
    post(sink, 2, id="2", **error)
    assert post(sink, 3, id="3") == 503
    assert post(sink, 4, id="") == 400
    refused, failed, dead, plain = browser.wait_for_rows(4)
    assert plain == ["com.example.thing", "/apis/v1/things/a", "first", "202"]
    assert dead[-2:] == ["2", "dead letter 202"]
    assert failed[-1] == "503"
    assert refused == ["not a CloudEvent", 'id is ""; write a string that is not empty', "400"]
    colour = "row => getComputedStyle(row.cells[1]).backgroundColor"
    assert len(set(browser.js(f"return [...document.querySelectorAll('#rows tr')].map({colour})"))) == 3
    assert [browser.wait_for_text(id, n) for id, n in (("total", "4"), ("failed", "2"), ("dead-letters", "1"))]
    browser.driver.find_elements(By.CSS_SELECTOR, "#rows button")[2].click()
    assert "Dead letter. http://orders.shop/ answered 503" in browser.text("notes")
    assert '"knativeerrordest": "http://orders.shop/"' in browser.text("json")
    assert browser.problems() == []


def test_row_opens_the_json_by_keyboard_and_escape_returns_to_it(browser: Browser, sink: str) -> None:
    post(sink, {"big": 12345678901234567890, "list": [1, {}]}, subject="one")
    post(sink, base64.b64encode(b"\xff\x00").decode(), id="2")
    browser.page(sink)
    browser.wait_for_rows(2)
    browser.driver.find_element(By.CSS_SELECTOR, "#rows button[tabindex='0']").send_keys(Keys.ARROW_DOWN)
    press(browser, Keys.ENTER)
    assert focused(browser) == "panel"
    assert '"data": {\n    "big": 12345678901234567890,\n    "list": [\n      1,\n      {}\n    ]\n  }' in browser.text(
        "json"
    )
    press(browser, Keys.ESCAPE)
    assert not browser.element("panel").is_displayed()
    assert focused(browser) == "button"


def test_filters_choose_rows_and_the_link_keeps_them(browser: Browser, sink: str) -> None:
    post(sink, {"customer": "Ada"}, type="order.created", source="/shop")
    post(sink, {"customer": "Bob"}, type="order.paid", source="/bank")
    assert post(sink, {"customer": "Cy"}, type="order.paid", source="/shop") == 503
    browser.page(sink)
    browser.wait_for_rows(3)
    browser.element("filter-type").send_keys("PAID")
    browser.wait_for_rows(2)
    browser.element("filter-source").send_keys("shop")
    assert browser.wait_for_rows(1)[0][:2] == ["order.paid", "/shop"]
    browser.element("filter-text").send_keys("Ada")
    browser.wait_for_text("no-match", "No event matches the filters.")
    link = browser.driver.current_url
    assert link == f"{sink}#type=PAID&source=shop&text=Ada"
    browser.page(link)
    browser.wait_for_text("no-match", "No event matches the filters.")
    browser.element("clear-filters").click()
    browser.wait_for_rows(3)
    browser.element("filter-marked").click()
    assert browser.wait_for_rows(1)[0][-1] == "503"


def test_pause_counts_new_events_and_resume_shows_them(browser: Browser, sink: str) -> None:
    browser.page(sink)
    post(sink)
    browser.wait_for_rows(1)
    browser.wait_for_text("total", "1")
    browser.element("pause").click()
    for n in (2, 3):
        post(sink, id=str(n))
    browser.wait_for_text("notice", "Paused. 2 new events since then.")
    assert len(browser.rows()) == 1
    browser.element("pause").click()
    browser.wait_for_rows(3)
    browser.element("clear").click()
    browser.wait_for_rows(0)


def test_hostile_event_data_is_shown_as_text(browser: Browser, sink: str) -> None:
    browser.page(sink)
    hostile = {"type": MARKUP, "source": REVERSED, "subject": "javascript:alert(4)", "id": "\x00\u200b" + "x" * 100_000}
    post(sink, {MARKUP: [REVERSED, "</script><script>alert(5)</script>"]}, **hostile, team="y" * 100_000)
    post(sink, "[" * 20_000, subject="z" * 100_000)
    post(sink, MARKUP + "w" * 100_000)
    rows = browser.wait_for_rows(3)
    assert rows[2][:2] == [MARKUP, r"safe\u202egnp.exe"]
    assert max(len(text) for row in rows for text in row) < 300
    for button in browser.driver.find_elements(By.CSS_SELECTOR, "#rows button"):
        button.click()
        browser.wait_for_text("json", '"specversion": "1.0"')
    shown = browser.text("json")
    assert MARKUP.replace('"', r"\"") in shown
    assert r"safe\u202egnp.exe" in shown
    assert "team is cut: its length is 100,000 characters." in browser.text("notes")
    assert browser.js("return document.querySelectorAll('main img, main script, main a, main iframe').length") == 0
    everything = browser.js("return document.body.innerText")
    assert not set("\u202e\u200b\x00") & set(everything)
    assert browser.problems() == []


def test_page_stays_responsive_in_a_flood_and_says_that_it_samples(browser: Browser, sink: str) -> None:
    browser.page(sink)
    browser.js(
        "window.longest = 0; let before = performance.now();"
        "setInterval(() => {"
        "  const now = performance.now(); longest = Math.max(longest, now - before); before = now;"
        "}, 20)"
    )
    flood, stop = Flood(sink), threading.Event()

    def send() -> None:
        while not stop.is_set():
            flood.send(16)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        notice = browser.wait_for_text("notice", "Showing ")
        wait_until(lambda: len(browser.rows()) == 200, "200 rows", lambda: len(browser.rows()))
    finally:
        stop.set()
        sending.join()
        flood.close()
    words = notice.replace(",", "").split()  # Showing 50 of 1000 events per second
    assert int(words[1]) <= 110, notice  # the first second may have twice as many
    assert int(words[1]) < int(words[3])
    assert browser.js("return longest") < 30_000
    browser.wait_for_text("total", f"{flood.sent:,}")
    assert browser.problems() == []


def test_page_says_that_the_connection_is_lost_and_connects_again(browser: Browser, start: Start) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    first = start("adapter.display", "--port", str(port))
    wait_until(lambda: first.errors, "the port")
    browser.page(url)
    post(url, subject="before")
    browser.wait_for_rows(1)
    assert first.stop()[0] == 0
    browser.wait_for_text("connection", "Connection lost. Trying again")
    second = start("adapter.display", "--port", str(port))
    wait_until(lambda: second.errors, "the port")
    browser.wait_for_text("connection", "Connected")
    post(url, subject="after")
    assert [row[2] for row in browser.wait_for_rows(2)] == ["after", "before"]
    browser.driver.get_log("browser")  # the lost connection


CONTRAST = r"""
function channel(c) { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4 }
function light([r, g, b]) { return .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b) }
function numbers(text) { return text.match(/[\d.]+/g).map(Number) }
function ground(node) {
  for (; node; node = node.parentElement) {
    const colour = numbers(getComputedStyle(node).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
}
const found = [];
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
  if (!own || !node.checkVisibility() || node.closest(".visually-hidden")) continue;
  const [a, b] = [light(numbers(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
  if ((a + .05) / (b + .05) < 4.5) found.push([node.outerHTML.slice(0, 80), ((a + .05) / (b + .05)).toFixed(2)]);
}
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_a_contrast_of_at_least_4_5(browser: Browser, sink: str, scheme: str) -> None:
    post(sink, 1, id="1")
    post(sink, 2, id="2", knativeerrordest="http://h/", knativeerrorcode="503")
    post(sink, 3, id="3")
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    try:
        browser.page(sink)
        browser.wait_for_rows(3)
        browser.driver.find_elements(By.CSS_SELECTOR, "#rows button")[1].click()
        browser.element("pause").click()
        browser.wait_for_text("notice", "Paused")
        dark = browser.js("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 128")
        assert dark == (scheme == "dark")
        assert browser.js(CONTRAST) == []
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_controls_have_names_and_a_sensible_tab_order(browser: Browser, sink: str) -> None:
    post(sink)
    browser.page(sink)
    browser.wait_for_rows(1)
    controls = browser.driver.find_elements(By.CSS_SELECTOR, "button, input, [tabindex='0']")
    names = [control.accessible_name for control in controls if control.is_displayed()]
    assert all(names), names
    assert names[:6] == ["Pause", "Clear", "Type", "Source", "Text", "Problems only"]
    assert browser.element("plot").aria_role in ("image", "img", "graphics-document")
    assert "events in the last minute" in browser.element("plot").accessible_name.lower()
    browser.js("document.activeElement.blur()")
    order = []
    for _ in range(7):
        press(browser, Keys.TAB)
        order.append(focused(browser))
    assert order == ["pause", "clear", "filter-type", "filter-source", "filter-text", "filter-marked", "button"]


def test_page_fits_a_phone(browser: Browser, sink: str) -> None:
    post(sink, {"text": "w" * 500}, subject="s" * 500)
    metrics = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        browser.page(sink)
        browser.wait_for_rows(1)
        assert browser.js("return document.documentElement.scrollWidth") <= 360
        browser.driver.find_element(By.CSS_SELECTOR, "#rows button").click()
        browser.wait_for_text("json", "specversion")
        assert browser.js("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
