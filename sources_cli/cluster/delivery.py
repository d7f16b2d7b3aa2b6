"""Faults of deliveries, polls and checkpoints, from the adapter's log, its readiness and its metrics. Pure."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from adapter.contract.formats import Json, format_time
from sources_cli.cluster.finding import Finding, Snapshot, condition, finding
from sources_cli.cluster.reasons.entry import Fault
from sources_cli.cluster.workload import current_pods, is_running

ATTEMPTS = (  # lines about an event that the sink did not accept
    "delivery attempt failed; will retry",
    "event lost",
    "event not delivered; the source will send it again",
    "event not delivered; caller notified",
)
STATES = {  # line -> its fault
    "checkpoint not usable; the source does not start": Fault.CHECKPOINT_NOT_USABLE,
    "checkpoint not loaded; will retry": Fault.CHECKPOINT_STORE_DOWN,
    "checkpoint not saved; will retry": Fault.CHECKPOINT_STORE_DOWN,
    "poll failed": Fault.UPSTREAM_FAILS,
    "the event loop is blocked": Fault.EVENT_LOOP_BLOCKED,
    "the source has no more events": Fault.SOURCE_ENDED,
    "invalid event rejected": Fault.EVENT_INVALID,
    "request failed": Fault.REQUEST_FAILED,
    "event sent to the dead letter sink": Fault.EVENTS_DEAD_LETTERED,
    "dead letter sink did not accept the event": Fault.DEAD_LETTER_SINK_FAILS,
}
SINK_FAULTS = (
    Fault.PROXY_FAILS,
    Fault.CREDENTIALS_UNUSABLE,
    Fault.SINK_UNREACHABLE,
    Fault.SINK_REFUSES,
    Fault.SINK_FAILS,
)
ENDS = {  # line -> the faults that are over
    "recovered": (*SINK_FAULTS, Fault.EVENTS_DEAD_LETTERED, Fault.DEAD_LETTER_SINK_FAILS, Fault.EVENT_INVALID),
    "polls succeed again": (Fault.UPSTREAM_FAILS,),
    "checkpoint loaded": (Fault.CHECKPOINT_STORE_DOWN,),
    "checkpoint saved": (Fault.CHECKPOINT_STORE_DOWN,),
    "started": tuple(Fault),
}
TEXT_LENGTH = 1000  # characters of a reason
_YEAR_9999 = 253_370_764_800.0  # the last year that a datetime can hold
_STATUS = re.compile(r"\b([345]\d\d)\b")
_METRIC = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}\n]*)\})? (?P<value>\S+)$", re.MULTILINE)  # one line


@dataclass
class Trouble:
    """A fault in a log that has not ended. ``since`` is the time of its first line."""

    fault: Fault
    since: str
    message: str


def delivery_findings(snapshot: Snapshot) -> Iterator[Finding]:
    for pod in current_pods(snapshot):
        name = pod["metadata"]["name"]
        if not is_running(pod):
            continue
        log, readiness = snapshot.logs.get(name), snapshot.readiness.get(name)
        troubles = list(troubles_of(log.value)) if log and isinstance(log.value, str) else []
        for trouble in troubles:
            yield finding(snapshot, trouble.fault, trouble.message, trouble.since, pod=name)
        ready = condition(pod.get("status"), "Ready")
        reason = unready_reason(readiness.value if readiness else None)
        if not troubles and (reason or ready.get("status") == "False"):
            text = f"The adapter is not ready: {reason or 'its readiness probe fails'}."
            since = ready.get("lastTransitionTime") if ready.get("status") == "False" else ""
            yield finding(snapshot, fault_of_readiness(reason), text, since, pod=name)


def troubles_of(log: str) -> Iterable[Trouble]:
    """The faults that the lines of a log report and no later line ends, in the order of their first line."""
    found: dict[Fault, Trouble] = {}
    for line in log.splitlines():
        entry = _entry(line)
        text = entry.get("msg")
        for fault in ENDS.get(text, ()) if isinstance(text, str) else ():
            found.pop(fault, None)
        new = _trouble(entry)
        if new and new.fault in found:
            found[new.fault].message = new.message
        elif new:
            found[new.fault] = new
    return found.values()


def _entry(line: str) -> dict[str, Json]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _trouble(entry: dict[str, Json]) -> Trouble | None:
    text, reason = entry.get("msg"), _one_line(entry.get("reason") or entry.get("error") or entry.get("at"))
    if text in ATTEMPTS:
        fault, what = fault_of(entry.get("code"), reason), "The sink did not accept an event"
    elif text == "not ready: no event is accepted":
        fault, what = fault_of(None, reason), "No event is accepted"
    elif isinstance(text, str) and text in STATES:
        fault, what = STATES[text], f"The adapter logs: {text}"
    else:
        return None
    count = entry.get("failures") or entry.get("count")
    times = f" ({count} times)" if isinstance(count, int) and count > 1 else ""
    since = entry.get("since") or entry.get("ts")
    return Trouble(fault, _whole_seconds(since), f"{what}{times}{f': {reason}' if reason else ''}.")


def fault_of(code: Json, reason: str) -> Fault:
    """The fault of an attempt: from its ``code``, else from the words of its ``reason``."""
    text = str(code) if code else ""
    if reason.startswith("the proxy"):
        return Fault.PROXY_FAILS
    found = _STATUS.search(text or reason)
    if found:
        return Fault.SINK_FAILS if found[1].startswith("5") else Fault.SINK_REFUSES
    if text in ("token", "tls"):
        return Fault.CREDENTIALS_UNUSABLE
    is_unreachable = text or any(word in reason for word in ("connection", "no answer", "timeout"))
    return Fault.SINK_UNREACHABLE if is_unreachable else Fault.NOT_READY


READINESS = (  # the beginning of the text of /readiness, or a part of it -> its fault
    ("the checkpoint cannot be used", Fault.CHECKPOINT_NOT_USABLE),
    ("the checkpoint cannot be loaded", Fault.CHECKPOINT_STORE_DOWN),
    ("no poll has succeeded yet", Fault.UPSTREAM_FAILS),
    ("polls in a row failed", Fault.UPSTREAM_FAILS),
)


def fault_of_readiness(reason: str) -> Fault:
    """The fault that the text of ``/readiness`` names."""
    for words, fault in READINESS:
        if words in reason.partition(":")[0]:
            return fault
    last = reason.partition("the last one: ")[2]
    return fault_of(None, last) if last else Fault.NOT_READY


def unready_reason(answer: Json) -> str:
    """The text of ``/readiness`` if it is 503. ``answer``: (status, text) or None."""
    if isinstance(answer, tuple) and answer[0] == 503:
        return _one_line(answer[1]).rstrip(".")
    return ""


def metric(text: Json, name: str, **labels: str) -> float:
    """The sum of the series with these labels; 0 without one."""
    total = 0.0
    for found in _METRIC.finditer(text) if isinstance(text, str) else ():
        present = found["labels"] or ""
        if found["name"] == name and all(f'{key}="{value}"' in present for key, value in labels.items()):
            with contextlib.suppress(ValueError):
                total += float(found["value"])
    return total


def last_delivered(snapshot: Snapshot) -> str:
    """When the sink last accepted an event, RFC 3339; empty if it is unknown."""
    name = "source_last_success_timestamp_seconds"
    times = [metric(read.value, name) for read in snapshot.metrics.values()]
    latest = max(times, default=0.0)
    return format_time(datetime.fromtimestamp(latest, UTC)) if 0 < latest < _YEAR_9999 else ""


def _one_line(value: Json) -> str:
    """At most ``TEXT_LENGTH`` characters: a pod may write anything."""
    text = " ".join(value[: 2 * TEXT_LENGTH].split()).rstrip(".") if isinstance(value, str) else ""
    return text if len(text) <= TEXT_LENGTH else f"{text[:TEXT_LENGTH]}…"


def _whole_seconds(time: Json) -> str:
    return f"{time[:19]}Z" if isinstance(time, str) and len(time) >= 20 else ""
