"""The rows of specs.yaml: a spec each, with the errors of the API server."""

from __future__ import annotations

from typing import Any

from sources_cli.admission import yaml
from tests.cluster.recordings import TABLE

ROWS: list[dict[str, Any]] = yaml.load(TABLE.read_text())[0].value
SHIPPED = ("SampleSource", "CronSource", "PollSource", "WebhookSource")


def package_of(kind: str) -> str:
    """The Python package that contains the class of a kind."""
    return "adapter.sources" if kind in SHIPPED else "tests.kinds"
