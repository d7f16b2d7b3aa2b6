"""``sources explain``, ``sources list`` and ``sources events``: read the cluster, decide, print."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime

from adapter.contract.formats import Json
from hooks.names import get_in
from sources_cli.cluster import report
from sources_cli.cluster.diagnosis import explain as diagnosis
from sources_cli.cluster.events import Line, lines
from sources_cli.cluster.finding import Object, Read, condition, deployment_name, seconds_since
from sources_cli.cluster.kinds import ServedKind, source_kinds
from sources_cli.cluster.look import discover, find_source, look_at
from sources_cli.cluster.reader import Access, Reader, connected
from sources_cli.problem import Problem
from sources_cli.screen import stdout

_TROUBLE = {"False": 0, "": 1, "Unknown": 2, "True": 3}
_COLUMNS = ("NAMESPACE", "NAME", "KIND", "READY", "REASON", "SINK", "AGE", "MESSAGE")


async def explain(text: str, access: Access, output: str) -> int:
    """The exit code: 0 if nothing is wrong, else 1."""
    async with connected(access) as reader:
        served = await discover(reader)
        kind, source = await find_source(reader, text, served)
        snapshot = await look_at(reader, kind, source, served)
    explanation = diagnosis(snapshot)
    if output == "json":
        report.show_json(report.as_json(snapshot, explanation))
    else:
        report.show(snapshot, explanation)
    return 1 if explanation.findings else 0


async def list_sources(access: Access, output: str) -> int:
    """The exit code: 0 if all sources are ready, 1 if one is not, or if the sources of a kind could not be read."""
    async with connected(access) as reader:
        kinds = source_kinds(await discover(reader))
        reads = await asyncio.gather(*(reader.list(kind.path(access.namespace)) for kind in kinds))
    if all(read.problem for read in reads):
        raise Problem(f"cannot read the sources: {reads[0].problem}")
    rows = sorted(_rows(kinds, reads, datetime.now(UTC)), key=_by_trouble)
    for kind, read in zip(kinds, reads, strict=True):
        if read.problem:
            stdout.complain(f"{kind.kind}: {read.problem}")
    if output == "json":
        report.show_json(rows)
    elif rows or not any(read.problem for read in reads):
        _show_table([[row[name.lower()] for name in _COLUMNS] for row in rows])
    return 1 if any(read.problem for read in reads) or any(row["ready"] != "True" for row in rows) else 0


def _rows(kinds: Iterable[ServedKind], reads: Iterable[Read], now: datetime) -> Iterator[dict[str, str]]:
    for kind, read in zip(kinds, reads, strict=True):
        for source in read.items:
            yield row(kind, source, now)


def row(kind: ServedKind, source: Object, now: datetime) -> dict[str, str]:
    """The columns of ``kubectl get sources``, with the first sentence of the message of ``Ready``."""
    meta, status = source["metadata"], source.get("status") or {}
    ready = condition(status, "Ready")
    age_s = seconds_since(meta.get("creationTimestamp"), now) or 0.0
    waits = "" if ready else "no status yet; run `sources explain`"
    return {
        "namespace": meta["namespace"],
        "name": meta["name"],
        "kind": kind.kind,
        "ready": str(ready.get("status", "")),
        "reason": str(ready.get("reason", "")),
        "sink": str(get_in(status, "sinkUri") or ""),
        "age": report.short_age(max(0.0, age_s)),
        "message": str(ready.get("message", "")) or waits,
    }


def _by_trouble(row: dict[str, str]) -> tuple[int, str, str, str]:
    return _TROUBLE.get(row["ready"], 1), row["namespace"], row["kind"], row["name"]


def _show_table(rows: list[list[str]]) -> None:
    if not rows:
        stdout.show("no sources")
        return
    table = [list(_COLUMNS), *rows]
    widths = [max(len(cells[n]) for cells in table) for n in range(len(_COLUMNS) - 1)]
    for line in report.cut(table, widths):
        stdout.show(line)


async def events(text: str, access: Access, output: str, *, watch: bool) -> int:
    """The exit code: 0. With ``watch``, it prints until Ctrl-C or until the API server ends the watch."""
    async with connected(access) as reader:
        served = await discover(reader)
        kind, source = await find_source(reader, text, served)
        snapshot = await look_at(reader, kind, source, served)
        if snapshot.events.problem:
            raise Problem(f"cannot read the events: {snapshot.events.problem}")
        found = lines(snapshot.events.items)
        for line in found:
            _show_event(line, output)
        if not found and not watch:
            stdout.complain("no events: Kubernetes keeps them for an hour")
        if watch:
            await _follow(reader, source, output)
    return 0


async def _follow(reader: Reader, source: Object, output: str) -> None:
    namespace = source["metadata"]["namespace"]
    path = f"/api/v1/namespaces/{namespace}/events"
    start = await reader.get(path, limit="1")
    version = str(get_in(start.value, "metadata", "resourceVersion") or "")
    async for text in reader.lines(path, watch="true", resourceVersion=version):
        change = json.loads(text)
        if change.get("type") == "ERROR":
            raise Problem(f"the watch has ended: {get_in(change, 'object', 'message')}")
        if change.get("type") in ("ADDED", "MODIFIED") and _is_of(change["object"], source):
            for line in lines([change["object"]]):
                _show_event(line, output)


def _is_of(event: Json, source: Object) -> bool:
    """ReplicaSets and pods have the name of the Deployment and a suffix."""
    name, own = str(get_in(event, "involvedObject", "name")), deployment_name(source)
    return name in (source["metadata"]["name"], own) or name.startswith(f"{own}-")


def _show_event(line: Line, output: str) -> None:
    if output == "json":
        report.show_json(asdict(line))
        return
    times = f" (x{line.count} since {line.first})" if line.count > 1 else ""
    stdout.show(f"{line.last}  {line.type:<7}  {line.object}  {line.reason}: {line.message}{times}")
