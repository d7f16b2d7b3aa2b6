"""An adapter connects only to the servers that the platform team allows."""

from __future__ import annotations

import pytest

from tests.process.harness import Start, display, wait_until
from tests.process.polls import ids, poller, polls
from tests.process.upstream import Answer, Upstream, items

METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
DENIED = "address 169.254.169.254 is not allowed; DENIED_NETWORKS of the hook contains 169.254.0.0/16"


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]"])
def test_metadata_service_is_not_polled(start: Start, host: str) -> None:
    _, sink = display(start)
    source = poller(start, sink, f"http://{host}/latest/meta-data/")
    reason = source.process.wait_for_log("poll failed")["reason"]
    assert reason.startswith("address ")
    assert " is not allowed; DENIED_NETWORKS of the hook contains " in reason


def test_redirect_to_the_metadata_service_is_not_followed(start: Start) -> None:
    _, sink = display(start)
    with Upstream(lambda headers, n: Answer(status=302, headers={"Location": METADATA})) as upstream:
        source = poller(start, sink, upstream)
        assert source.process.wait_for_log("poll failed")["reason"] == DENIED


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1"])
def test_name_that_resolves_to_a_denied_address_gets_no_request(start: Start, host: str) -> None:
    """The address of the connection is checked. So a name that resolves to another address each time cannot pass."""
    _, sink = display(start)
    with Upstream(lambda headers, n: Answer(items("a"))) as upstream:
        url = upstream.url.replace("localhost", host)
        source = poller(start, sink, url, DENIED_NETWORKS="127.0.0.0/8,::1/128")
        reason = source.process.wait_for_log("poll failed")["reason"]
        wait_until(lambda: polls(source, "failed") >= 3, "failures", lambda: source.process.errors)
        assert upstream.asked == []
    assert reason == "address 127.0.0.1 is not allowed; DENIED_NETWORKS of the hook contains 127.0.0.0/8"
    source.assert_log_is_json()


def test_only_allowed_hosts_are_polled(start: Start) -> None:
    sink, url = display(start)
    with Upstream(lambda headers, n: Answer(items("a"))) as upstream:
        allowed = poller(start, url, upstream, ALLOWED_HOSTS="localhost,127.0.0.1")
        assert ids(sink, 1) == ["a"]
        allowed.process.stop()
        asked = len(upstream.asked)
        source = poller(start, url, upstream, ALLOWED_HOSTS="127.0.0.1,*.localhost")
        reason = source.process.wait_for_log("poll failed")["reason"]
        assert len(upstream.asked) == asked
    assert reason == 'host "localhost" is not allowed; add it to ALLOWED_HOSTS of the hook'


def test_redirect_to_another_host_must_be_allowed(start: Start) -> None:
    _, sink = display(start)
    with Upstream(lambda headers, n: Answer(items("a"))) as other:
        elsewhere = other.url.replace("localhost", "127.0.0.1")
        with Upstream(lambda headers, n: Answer(status=302, headers={"Location": elsewhere})) as upstream:
            source = poller(start, sink, upstream, ALLOWED_HOSTS="localhost")
            reason = source.process.wait_for_log("poll failed")["reason"]
            assert other.asked == []
    assert reason == 'host "127.0.0.1" is not allowed; add it to ALLOWED_HOSTS of the hook'
