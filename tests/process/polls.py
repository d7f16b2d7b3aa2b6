"""Starts an adapter that runs a PollSource."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sources_cli.generate import templates
from tests.process.harness import Adapter, Process, Start
from tests.process.upstream import Upstream

QUICK = "100ms"
SECRET = "hush-hush"


def poller(start_process: Start, sink: str, upstream: Upstream | str, interval: str = QUICK, **spec: Any) -> Adapter:
    """Sends existing items too. ``spec``: fields of ``spec``; names in capitals are environment variables."""
    environ = {name: spec.pop(name) for name in list(spec) if name.isupper()}
    url = upstream if isinstance(upstream, str) else upstream.url
    config = json.dumps({"url": url, "start": "earliest", **spec})
    return Adapter(start_process, sink, interval, SOURCE_KIND="PollSource", SOURCE_CONFIG=config, **environ)


def polls(source: Adapter, outcome: str) -> float:
    return source.metric(
        f'source_polls_total{{kind="PollSource",name="source",namespace="default",outcome="{outcome}"}}'
    )


def ids(sink: Process, count: int) -> list[str]:
    return [sink.event()["id"] for _ in range(count)]


def own_kind(start: Start, sink: str, upstream: Upstream, tmp_path: Path, more: str = "") -> Adapter:
    """The kind that `sources new --poll` writes; ``more`` is added to its class."""
    code = templates.filled(templates.MODULES["poll"][0], kind="ListSource", type="com.example.list")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/list_source.py").write_text(code + more)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    config = json.dumps({"url": upstream.url})
    environ = {"SOURCE_KIND": "ListSource", "SOURCES_PACKAGE": "own", "PYTHONPATH": path}
    return Adapter(start, sink, QUICK, SOURCE_CONFIG=config, **environ)
