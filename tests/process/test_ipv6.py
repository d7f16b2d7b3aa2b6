"""All servers accept connections of IPv4 and IPv6, whatever the host has; deliveries and polls reach both.

The tests marked ``any_host`` also run in network namespaces without IPv6 and without IPv4.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.loopback import ADDRESSES, IPV4, IPV6, in_url, needs_ipv6
from tests.process.harness import DEADLINE_S, Adapter, Process, Start, free_port, wait_until
from tests.process.polls import poller
from tests.process.sources import QUICKSTART, read_until, running

WEBHOOK = """---
apiVersion: samples.knative.dev/v1alpha1
kind: WebhookSource
metadata: {name: inbox}
spec: {sink: {ref: {apiVersion: v1, kind: Service, name: event-display}}}
"""


def url(address: str, port: int, path: str = "/") -> str:
    return f"http://{in_url(address)}:{port}{path}"


def status(process: Process, where: str) -> int:
    """Of a GET, once the server listens."""

    def get() -> int:
        try:
            return httpx2.get(where, trust_env=False, timeout=DEADLINE_S).status_code
        except httpx2.ConnectError:
            return 0

    return int(wait_until(get, where, lambda: process.errors))


def display_port(process: Process) -> int:
    (line,) = wait_until(lambda: process.errors[:1], "the port of the display", lambda: process.errors)
    return int(line.rpartition(" ")[2])


def adapter(start: Start, sink: str, **environ: str) -> tuple[Process, int]:
    """An adapter and its health port."""
    port = free_port()
    return start("adapter", K_SINK=sink, HEALTH_PORT=str(port), EVENT_SOURCE="/a/b", **environ), port


@pytest.mark.any_host
def test_hook_serves_each_address_of_the_host(start: Start) -> None:
    port, health = free_port(), free_port()
    hook = start("hooks", ADAPTER_IMAGE="a:1", PORT=str(port), HEALTH_PORT=str(health))
    pages = [url(address, *page) for address in ADDRESSES for page in ((port, "/openapi.json"), (health, "/healthz"))]
    assert [status(hook, page) for page in pages] == [200] * len(pages)


@needs_ipv6
@pytest.mark.parametrize(("host", "served"), [("0.0.0.0", IPV4), ("127.0.0.1", IPV4), ("::1", IPV6)])
def test_hook_serves_only_the_addresses_of_its_setting(start: Start, host: str, served: str) -> None:
    port, health = free_port(), free_port()
    hook = start("hooks", ADAPTER_IMAGE="a:1", PORT=str(port), HEALTH_PORT=str(health), HOST=host)
    for page in ((port, "/openapi.json"), (health, "/healthz")):
        assert status(hook, url(served, *page)) == 200
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(url(IPV6 if served == IPV4 else IPV4, *page), trust_env=False, timeout=DEADLINE_S)


def test_hook_names_an_address_that_the_host_does_not_have(start: Start) -> None:
    hook = start("hooks", ADAPTER_IMAGE="a:1", PORT="8080", HOST="2001:db8::1")
    assert hook.ended() == 3
    assert hook.errors == ["cannot listen on HOST 2001:db8::1, PORT 8080: Cannot assign requested address\n"]


@pytest.mark.any_host
def test_health_port_and_display_serve_each_address_and_events_arrive_over_it(start: Start) -> None:
    for address in ADDRESSES:
        sink = start("adapter.display", "--port", "0", "--format", "jsonl")
        port = display_port(sink)
        source, health = adapter(start, url(address, port), INTERVAL="100ms")
        event = sink.event()
        assert event["headers"]["host"] == f"{in_url(address)}:{port}"
        for probed in ADDRESSES:
            assert status(source, url(probed, health, "/readiness")) == 200
            assert status(sink, url(probed, port, "/healthz")) == 200


@pytest.mark.any_host
def test_listener_serves_each_address_of_the_host(start: Start) -> None:
    sink, port = start("adapter.display", "--port", "0", "--format", "jsonl"), free_port()
    source, _ = adapter(start, url(ADDRESSES[0], display_port(sink)), SOURCE_KIND="WebhookSource", PORT=str(port))
    for address in ADDRESSES:
        assert status(source, url(address, port)) == 405
        assert httpx2.post(url(address, port), content=b"x", trust_env=False, timeout=DEADLINE_S).status_code == 202


@pytest.mark.parametrize(
    ("host", "denied", "reason"),
    [
        ("[::ffff:127.0.0.1]", "127.0.0.0/8", "address 127.0.0.1 is not allowed; DENIED_NETWORKS of the hook contains"),
        ("[::1]", "::/64", "address ::1 is not allowed; DENIED_NETWORKS of the hook contains ::/64"),
    ],
)
def test_connection_to_a_denied_address_is_not_used_by_sinks_and_polls(
    start: Start, host: str, denied: str, reason: str
) -> None:
    denying = {"DENIED_NETWORKS": denied}
    sink = start("adapter.display", "--port", "0", "--format", "jsonl")
    target = f"http://{host}:{display_port(sink)}/"
    assert reason in Adapter(start, target, **denying).process.wait_for_log("attempt failed")["reason"]
    assert reason in poller(start, target, target, **denying).process.wait_for_log("poll failed")["reason"]


@needs_ipv6
def test_sources_run_sends_to_a_sink_on_ipv6(start: Start) -> None:
    sink = start("adapter.display", "--port", "0", "--format", "jsonl")
    with running(QUICKSTART, "--sink", url(IPV6, display_port(sink))):
        assert sink.event()["source"].endswith("/samplesources/hello")


def test_listener_of_sources_run_is_reached_over_each_address(tmp_path: Path) -> None:
    file = tmp_path / "webhook.yaml"
    file.write_text(QUICKSTART.read_text().rpartition("---\n")[0] + WEBHOOK)
    port = free_port()
    with running(file, "--listen-port", str(port)) as run:
        read_until(run, "inbox: listens on", stream="stderr")
        posted = [
            httpx2.post(url(address, port), content=b"{}", trust_env=False, timeout=DEADLINE_S) for address in ADDRESSES
        ]
        assert [answer.status_code for answer in posted] == [202] * len(ADDRESSES)


NAMESPACES = {
    "no-ipv6": (
        "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1 && ip link set lo up",
        [IPV4],
    ),
    "no-ipv4": ("ip link set lo up && ip address del 127.0.0.1/8 dev lo", [IPV6]),
    "both": ("ip link set lo up && sysctl -qw net.ipv6.bindv6only=1", [IPV4, IPV6]),
}


def in_namespace(prepare: str, *command: str) -> subprocess.CompletedProcess[str]:
    unshare = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = f'{prepare} && exec "$@"'
    ended_together = ["--pid", "--fork", "--kill-child", "--mount-proc"]
    words = ["unshare", *unshare, *ended_together, "--net", "sh", "-c", script, "sh", *command]
    return subprocess.run(words, capture_output=True, text=True, timeout=4 * DEADLINE_S, check=False)


@pytest.mark.skipif(not all(map(shutil.which, ("unshare", "ip", "sysctl"))), reason="needs unshare, ip and sysctl")
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_servers_accept_connections_in_a_namespace_with(namespace: str) -> None:
    prepare, addresses = NAMESPACES[namespace]
    code = "import json; from tests.loopback import ADDRESSES; print(json.dumps(ADDRESSES))"
    found = in_namespace(prepare, sys.executable, "-c", code)
    if found.returncode or json.loads(found.stdout) != addresses:
        pytest.skip(f"no network namespace with {addresses} can be made here: {found.stdout}{found.stderr}")
    tests = [__file__, "-m", "any_host", "-p", "no:cacheprovider", "--no-header"]
    done = in_namespace(prepare, sys.executable, "-m", "pytest", *tests)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
