"""The limits on the page Security are those of the code."""

from __future__ import annotations

from typing import Any

from adapter.contract import egress
from adapter.listening.listener import EVENTS_LIMIT
from adapter.observe import lookups
from adapter.polling import documents, expressions
from adapter.polling.feeds import feed_process
from adapter.serving import limits, wire
from hooks.serving import server
from hooks.settings import Settings
from sources_cli.admission import files, yaml
from tests.pages import ROOT, page, rows, section

MIB = 1024 * 1024
PAGE = "docs/security.md"
HOOK = server.limits(Settings(adapter_image="adapter:1"))
LISTENER = limits.Limits(head_s=1, body_s=1, keep_alive_s=1)
WANTED: dict[str, Any] = {
    "connections of the hook without TLS": HOOK.connections,
    "connections of the hook with TLS": server.limits(Settings(adapter_image="adapter:1", tls_dir=ROOT)).connections,
    "body of a request to the hook": f"{HOOK.body_size // MIB} MiB",
    "requests in the memory of the hook": f"{HOOK.total_size // MIB} MiB",
    "connections of a listener": LISTENER.connections,
    "body of a request to a listener": f"{LISTENER.body_size // MIB} MiB",
    "requests in the memory of a listener": f"{LISTENER.total_size // MIB} MiB",
    "events of one request": EVENTS_LIMIT,
    "requests that wait on one connection": wire.QUEUE_LIMIT,
    "headers of one request": wire.HEADERS_LIMIT,
    "memory to parse a polled document": f"{documents.MAX_MEMORY // MIB} MiB",
    "memory of the process that parses a feed": f"{feed_process.MEMORY // MIB} MiB",
    "steps of the JMESPath expressions of a poll": expressions.MAX_STEPS,
    "copies of its input that an expression can make": expressions.MAX_COPIES,
    "lookup of a host name": f"{lookups.LIMIT_S:g} s",
    "file that `sources` reads": f"{files.MAX_BYTES // MIB} MiB",
    "keys and values of a YAML document": yaml.MAX_VALUES,
    "depth of a YAML document": yaml.MAX_DEPTH,
}


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    listed = {cells[0]: cells[1] for cells in rows(section(PAGE, "## Limits"))}
    del listed["limit"]
    assert listed == {name: str(value) for name, value in WANTED.items()}


def test_private_addresses_are_allowed_and_metadata_services_are_not() -> None:
    """As the page says: services of the cluster may be polled."""
    assert egress.DEFAULT_EGRESS.address_problem("10.96.0.1") is None
    assert egress.DEFAULT_EGRESS.address_problem("169.254.169.254")


def test_the_page_says_how_to_report_a_vulnerability() -> None:
    assert f"{PAGE}#report-a-vulnerability" in (ROOT / "SECURITY.md").read_text()
    assert "\n## Report a vulnerability\n" in page(PAGE)
