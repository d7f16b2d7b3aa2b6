"""The hook answers requests that Metacontroller sent with the recorded responses.

``RECORD=1 pytest tests/cluster`` rewrites the recordings. An intended change of the hook is visible in their diff.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapter.contract.formats import parse_time
from hooks.app import options_from
from hooks.configmaps import MountedConfig
from hooks.controller import sync
from hooks.protocol import SyncRequest
from hooks.settings import Settings

RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.json"))
SETTINGS = Settings(adapter_image="registry.local/adapter:1")


def answer(recording: dict[str, Any], **changes: Any) -> Any:
    request = {**recording["request"], "parent": recording["request"]["parent"] | changes}
    options = options_from(recording["query"].encode())
    now = parse_time(recording["at"])
    observability = MountedConfig(None).for_kind(recording["request"]["parent"]["kind"])
    request = SyncRequest.model_validate(request)
    return sync(request, SETTINGS, now=now, observability=observability, options=options)


def timeless(status: dict[str, Any]) -> dict[str, Any]:
    """Without transition times, which depend on the second of the recording."""
    conditions = [
        {key: value for key, value in one.items() if key != "lastTransitionTime"} for one in status["conditions"]
    ]
    return {**status, "conditions": conditions}


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in RECORDINGS])
def test_recorded_request_gets_its_recorded_response(file: Path) -> None:
    recording = json.loads(file.read_text())
    given, expected = answer(recording), recording["response"]
    assert timeless(given["status"]) == timeless(expected["status"])
    assert {**given, "status": 0} == {**expected, "status": 0}


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in RECORDINGS])
def test_recorded_status_is_a_fixed_point(file: Path) -> None:
    recording = json.loads(file.read_text())
    first = answer(recording)["status"]
    generation = recording["request"]["parent"]["metadata"]["generation"]
    assert answer(recording, status={**first, "observedGeneration": generation})["status"] == first


def test_recordings_exist() -> None:
    assert {file.stem for file in RECORDINGS} >= {"first-sync", "ready", "edited", "sink-not-found", "sink-lost"}
