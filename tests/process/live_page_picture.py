"""``python -m tests.process.live_page_picture``: makes docs/images/live-page.png, with events of a shop."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver.common.by import By

from tests.process.browser import Browser, chromium
from tests.process.harness import display, processes
from tests.process.http_events import post

PICTURE = Path(__file__).resolve().parents[2] / "docs/images/live-page.png"
SHOP, BANK = "https://shop.example.com/orders", "https://bank.example.com/payments"
HELLO = "/apis/samples.knative.dev/v1alpha1/namespaces/default/samplesources/hello"
DEAD = {"knativeerrordest": "http://shipping.shop.svc.cluster.local/", "knativeerrorcode": "503"}
ORDER = {"order": 1047, "customer": "ada@example.com", "total": 89.9, "items": [{"sku": "KB-62", "count": 1}]}
EVENTS = (
    {"type": "com.example.order.created", "source": SHOP, "subject": "orders/1043", "data": {}},
    {"type": "dev.knative.sample", "source": HELLO, "id": "hello-41", "data": {"sequence": 41}},
    {"type": "com.example.payment.settled", "source": BANK, "subject": "orders/1043", "data": {}},
    {"type": "com.example.order.created", "source": SHOP, "subject": "orders/1044", "data": {}},
    {"type": "dev.knative.sample", "source": HELLO, "id": "hello-42", "data": {"sequence": 42}},
    {"type": "com.example.order.created", "source": SHOP, "subject": "orders/1045", "data": {}},
    {"type": "com.example.payment.settled", "source": BANK, "subject": "orders/1044", "data": {}},
    {"type": "com.example.order.shipped", "source": SHOP, "subject": "orders/1043", "data": {}},
    {"type": "dev.knative.sample", "source": HELLO, "id": "hello-43", "data": {"sequence": 43}},
    {"type": "com.example.payment.settled", "source": BANK, "subject": "orders/1045", "data": {}},
    {"type": "com.example.order.created", "source": SHOP, "subject": "orders/1046", "data": {}},
    {"type": "com.example.order.shipped", "source": SHOP, "subject": "orders/1047", "data": ORDER, **DEAD},
    {"type": "dev.knative.sample", "source": HELLO, "id": "hello-44", "data": {"sequence": 44}},
    {"type": "com.example.order.created", "source": SHOP, "subject": "orders/1048", "data": {}},
)
FAILED = 9  # the index of the event whose answer is 503
BURSTS = (3, 5, 2, 6, 4, 7, 3, 9, 5, 4, 6)  # events in each second before the picture


def take(browser: Browser, url: str) -> None:
    browser.page(url)
    for count in BURSTS:
        for n in range(count):
            post(url, {"sequence": n}, type="dev.knative.sample", source=HELLO, id=f"hello-{n}")
        seconds = "const done = arguments[0]; setTimeout(done, 1000)"
        browser.driver.execute_async_script(seconds)
    for event in EVENTS:
        post(url, event["data"], **{name: value for name, value in event.items() if name != "data"})
    browser.wait_for_rows(sum(BURSTS) + len(EVENTS))
    browser.driver.find_elements(By.CSS_SELECTOR, "#rows tr.dead button")[0].click()
    browser.wait_for_text("json", "ada@example.com")
    browser.driver.execute_async_script("const done = arguments[0]; setTimeout(done, 1000)")
    PICTURE.parent.mkdir(exist_ok=True)
    browser.driver.save_screenshot(str(PICTURE))


def main() -> None:
    answers = ",".join(["202"] * (sum(BURSTS) + FAILED) + ["503"])
    with processes() as start, chromium("1280,800") as browser:
        take(browser, display(start, "--statuses", answers)[1] + "/")
    print(PICTURE, PICTURE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
