"""A sink that refuses every event: Ready reports it, names the command that shows the cause, and an edit repairs it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import datetime

from tests.cluster.api import eventually
from tests.e2e.namespace import RestrictedNamespace


def test_ready_is_false_while_the_sink_refuses_and_an_edit_rolls_out(
    ns: RestrictedNamespace, figure: Callable[[str], None]
) -> None:
    ns.start_display()
    ns.start_program("refusing")
    ns.source(interval="1s", sink={"uri": f"http://refusing.{ns.name}.svc.cluster.local:8080/"})
    ns.wait_until_ready()  # a new pod is ready until 30 s after its first failure
    first = eventually(lambda: _log(ns, "event lost"), bool, "a refused event", details=ns.describe)[0]
    ready = ns.wait_for_condition("Ready", "False", "DeploymentUnavailable")
    after_s = time.time() - _seconds(first["ts"])
    figure(f"a refusing sink: Ready False {after_s:.0f} s after the first refused event: {ready['message']}")
    assert 30 <= after_s < 75
    assert "the sink has accepted no event for 30 s" in ready["message"]
    [command] = re.findall(r"`kubectl (logs [^`]+)`", ready["message"])
    lines = [json.loads(line) for line in ns.kubectl(*command.split()).splitlines()]
    [unready] = [line for line in lines if line["msg"] == "not ready: no event is accepted"]
    assert unready["reason"] == "answered 403: quota exceeded"
    assert 30 <= _seconds(unready["ts"]) - _seconds(unready["since"]) < 45

    edited = time.monotonic()
    ns.edit(sink={"uri": f"http://event-display.{ns.name}.svc.cluster.local/"})
    ns.wait_until_ready()
    figure(f"a refusing sink: Ready True {time.monotonic() - edited:.0f} s after an edit that names another sink")
    eventually(ns.displayed_events, bool, "an event at the display", details=ns.describe)
    assert ns.adapter()["status"]["containerStatuses"][0]["restartCount"] == 0


def _log(ns: RestrictedNamespace, message: str) -> list[dict[str, str]]:
    log = "".join(ns.kubectl("logs", pod["metadata"]["name"]) for pod in ns.adapters())
    return [line for line in map(json.loads, log.splitlines()) if line["msg"] == message]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
