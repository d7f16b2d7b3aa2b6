"""An adapter process polls an upstream and sends new items."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trustme

from tests.process.harness import DEADLINE_S, Adapter, Start, display, free_port, wait_until
from tests.process.polls import SECRET, ids, poller, polls
from tests.process.sources import sources
from tests.process.upstream import Answer, Upstream, items

EDITS = 20 if os.environ.get("LONG") else 3


def test_new_items_of_a_growing_list_are_sent_once_and_in_order(start: Start) -> None:
    listed: list[str] = []

    def answer(headers: dict[str, str], n: int) -> Answer:
        listed.extend(f"{n}-{i}" for i in range(3))
        return Answer(items(*listed))

    sink, url = display(start)
    with Upstream(answer) as upstream:
        source = poller(start, url, upstream)
        sent = ids(sink, 30)
        assert sent == listed[:30]
        assert source.process.stop()[0] == 0
    source.assert_log_is_json()


def test_conditional_requests_are_answered_304_and_nothing_is_sent_again(start: Start) -> None:
    def answer(headers: dict[str, str], n: int) -> Answer:
        tag = f'"{min(n // 5, 1)}"'
        if headers.get("if-none-match") == tag:
            return Answer(status=304)
        return Answer(items("a") if n < 5 else items("a", "b"), headers={"ETag": tag})

    sink, url = display(start)
    with Upstream(answer) as upstream:
        source = poller(start, url, upstream)
        assert ids(sink, 2) == ["a", "b"]
        wait_until(lambda: polls(source, "unchanged") >= 8, "unchanged polls", lambda: upstream.asked)
        assert polls(source, "ok") == 2
        assert source.process.stop()[0] == 0
    assert sink.lines.empty()


def test_start_now_sends_only_items_that_appear_later(start: Start) -> None:
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(items("old") if n < 3 else items("old", "new"))) as upstream:
        poller(start, url, upstream, start="now")
        event = sink.event()
    assert (event["id"], event["type"], event["data"]) == ("new", "dev.knative.poll.item", {"id": "new"})


def test_no_item_is_lost_when_the_adapter_is_killed_and_restarted(start: Start) -> None:
    """The adapter is killed in the middle of a poll. Events that are sent twice have the same id."""
    everything = [str(n) for n in range(40)]
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(items(*everything))) as upstream:
        first = poller(start, url, upstream)
        seen = ids(sink, 7)
        first.process.child.kill()
        first.process.ended()
        poller(start, url, upstream)
        while "39" not in seen:
            seen += ids(sink, 1)
    assert list(dict.fromkeys(seen)) == everything


def test_items_that_the_sink_did_not_accept_are_sent_first_although_the_etag_is_unchanged(start: Start) -> None:
    port = free_port()

    def answer(headers: dict[str, str], n: int) -> Answer:
        if headers.get("if-none-match"):
            return Answer(status=304)
        return Answer(items("a", "b", "c"), headers={"ETag": '"1"'})

    with Upstream(answer) as upstream:
        policy = json.dumps({"retry": 1, "backoffDelay": "PT0.01S"})
        source = poller(start, f"http://127.0.0.1:{port}", upstream, SOURCE_DELIVERY=policy)
        upstream.wait_for(4)
        assert all("if-none-match" not in headers for headers in upstream.asked)
        sink = start("adapter.display", "--port", str(port), "--format", "jsonl")
        assert ids(sink, 3) == ["a", "b", "c"]
        series = 'source_events_total{kind="PollSource",name="source",namespace="default",outcome='
        assert (source.metric(f'{series}"returned"') >= 1, source.metric(f'{series}"lost"')) == (True, 0)
        wait_until(lambda: polls(source, "unchanged") >= 2, "unchanged polls", lambda: upstream.asked)
        assert source.process.stop()[0] == 0
    assert sink.lines.empty()
    assert source.process.logged("event lost") == []
    returned = source.process.logged("event not delivered; the source will send it again")
    assert {line["event_id"] for line in returned} == {"a"}


def test_feed_is_polled(start: Start) -> None:
    rss = b"<rss version='2.0'><channel><item><guid>2</guid></item><item><guid>1</guid></item></channel></rss>"
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(rss)) as upstream:
        poller(start, url, upstream)
        assert ids(sink, 2) == ["1", "2"]


def test_secret_header_is_sent_and_not_logged(start: Start) -> None:
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(items("a"), status=200 if n else 500)) as upstream:
        headers = {"Authorization": {"$env": "SOURCE_SECRET_0"}}
        source = poller(start, url, upstream, secretHeaders=headers, SOURCE_SECRET_0=f"Bearer {SECRET}\n")
        sink.event()
        assert source.process.stop()[0] == 0
    assert upstream.asked[0]["authorization"] == f"Bearer {SECRET}"
    assert upstream.asked[0]["user-agent"].startswith("sample-source/")
    assert SECRET not in "".join(source.process.errors)


def test_ca_certs_are_trusted_and_unknown_authorities_are_not(start: Start) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(items("a")), context) as upstream:
        stranger = poller(start, url, upstream)
        assert "CERTIFICATE_VERIFY_FAILED" in stranger.process.wait_for_log("poll failed")["reason"]
        poller(start, url, upstream, CACerts=authority.cert_pem.bytes().decode())
        assert ids(sink, 1) == ["a"]


def test_mounted_bundle_is_trusted_without_a_restart(start: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(items("a")), context) as upstream:
        source = poller(start, url, upstream, TRUST_BUNDLES=str(tmp_path))
        assert "CERTIFICATE_VERIFY_FAILED" in source.process.wait_for_log("poll failed")["reason"]
        authority.cert_pem.write_to_path(str(tmp_path / "company.pem"))
        assert ids(sink, 1) == ["a"]


def test_stop_during_a_poll_is_quick_and_clean(start: Start) -> None:
    release = threading.Event()

    def answer(headers: dict[str, str], n: int) -> Answer:
        release.wait(DEADLINE_S)
        return Answer()

    _, url = display(start)
    with Upstream(answer) as upstream:
        source = poller(start, url, upstream)
        upstream.wait_for(1)
        code, _, asleep_s = source.process.stop()
        release.set()
    assert code == 0
    assert asleep_s < 5
    source.assert_log_is_json()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({"items": "data["}, 'field items, is "data[": write a JMESPath expression like', id="jmespath"),
        pytest.param({"id": "nope(@)"}, 'field id, is "nope(@)": JMESPath has no function nope()', id="function"),
        pytest.param(
            {"items": " | ".join(["[@, @]"] * 24)},
            "the expression can copy its input more than 100 times; select each part of the input once",
            id="doublings",
        ),
        pytest.param({"url": "host"}, 'field url, is "host": write an absolute http(s) URL', id="url"),
    ],
)
def test_invalid_field_leads_to_one_line_and_exit_code_2(config: dict[str, str], message: str) -> None:
    fields = {"url": "http://h", **config}
    environ = {
        "K_SINK": "http://h",
        "EVENT_SOURCE": "/a/b",
        "SOURCE_KIND": "PollSource",
        "SOURCE_CONFIG": json.dumps(fields),
    }
    env = {"PATH": os.environ["PATH"], **environ}
    command = [sys.executable, "-m", "adapter"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=DEADLINE_S)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr


def test_integer_of_5000_digits_is_sent_unchanged(start: Start) -> None:
    number = b"7" * 5000
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(b'[{"id": "a", "n": ' + number + b"}]")) as upstream:
        source = poller(start, url, upstream)
        assert number.decode() in sink.line()
        source.assert_log_is_json()


def test_lint_reports_an_expression_that_is_too_expensive(tmp_path: Path) -> None:
    spec = {"url": "http://h", "items": " | ".join(["[@, @]"] * 24), "sink": {"uri": "http://h"}}
    source = {"apiVersion": "samples.knative.dev/v1alpha1", "kind": "PollSource", "metadata": {"name": "a"}}
    (tmp_path / "a.yaml").write_text(json.dumps({**source, "spec": spec}))
    result = sources("lint", tmp_path / "a.yaml")
    assert (result.returncode, result.stderr) == (1, "")
    assert "spec.items: " in result.stdout
    assert "can copy its input more than 100 times" in result.stdout


def ready(source: Adapter) -> None:
    source.process.wait_for_log("started")
    wait_until(lambda: source.get("/readiness")[0] == 200, "the adapter is ready")


def test_no_item_is_lost_while_new_processes_replace_old_ones(start: Start) -> None:
    """A rolling update: the old process stops when the new one is ready. Both poll only once by their schedules."""
    listed: list[str] = []
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(items(*listed))) as upstream:
        old = poller(start, url, upstream, "1h", start="now")
        ready(old)
        for n in range(EDITS):
            listed.append(f"before-{n}")
            new = poller(start, url, upstream, "1h", start="now")
            ready(new)
            listed.append(f"after-{n}")
            assert old.process.stop()[0] == 0
            old = new
        assert old.process.stop()[0] == 0
    seen = ids(sink, len(listed) + EDITS)  # each "after" is also sent by the next process
    assert list(dict.fromkeys(seen)) == listed
    assert sink.lines.empty()
