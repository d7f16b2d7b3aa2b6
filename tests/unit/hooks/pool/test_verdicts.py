"""What the answers of a pool mean for a source: conditions, children, next sync, and both ways of a switch."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.controller import KindOptions, customize
from hooks.pool.verdict import Told
from hooks.protocol import CustomizeRequest
from tests.unit.hooks.hook import BROKER_SINK, UID, condition, message, parent
from tests.unit.hooks.pool.sources import (
    NO,
    OPTIONS,
    SETTINGS,
    SPEC,
    YES,
    answer,
    pool_object,
    request,
    running_deployment,
    silent,
    written,
)  # fmt: skip


def in_pool() -> dict[str, Any]:
    """The status of a source that runs in the pool."""
    return written(answer(request(), YES))


def test_source_is_ready_when_the_pool_says_that_it_runs() -> None:
    response = answer(request(), YES)
    assert (condition(response, "Deployed"), condition(response, "Ready")) == (("True", None), ("True", None))
    assert (response["children"], response["status"]["pool"]) == ([], "many")
    assert "resyncAfterSeconds" not in response


def test_refusal_of_the_pool_is_the_message_and_is_asked_again() -> None:
    response = answer(request(), Told("line 1\n line 2 " + "x" * 900))
    assert condition(response, "Ready") == ("False", "AdapterRefused")
    assert message(response).startswith("SourcePool hooks/many does not run the source: line 1 line 2 xx")
    assert len(message(response)) < 700
    assert response["resyncAfterSeconds"] == 30


@pytest.mark.parametrize(("ready", "again"), [("True", 5), ("Unknown", None), ("False", None)])
def test_silent_pool_is_asked_again_unless_it_is_known_to_be_lost(ready: str, again: int | None) -> None:
    response = answer(request(status=in_pool(), related=pool_object(ready)), silent(10))
    assert condition(response, "Ready") == ("Unknown", "PoolNotAnswering")
    assert response.get("resyncAfterSeconds") == again


def test_outage_below_10_s_changes_no_status() -> None:
    status = in_pool()
    response = answer(request(status=status, related=pool_object("True")), silent(9.9))
    assert written(response) == status
    refused = written(answer(request(), NO))
    assert written(answer(request(status=refused), silent(9.9))) == refused


@pytest.mark.parametrize("ready", ["Unknown", "False"])
def test_pool_that_is_known_to_be_lost_leaves_no_source_ready(ready: str) -> None:
    """Nobody asks it again before it is back: the hook may have seen it silent for less than 10 s, or not at all."""
    response = answer(request(status=in_pool(), related=pool_object(ready)), silent(0))
    assert condition(response, "Ready") == ("Unknown", "PoolNotAnswering")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"generation": 2}, id="edit"),
        pytest.param({"annotations": {"samples.knative.dev/event-source": "urn:x"}}, id="annotation"),
        pytest.param({"status": None}, id="no-status"),
        pytest.param({"spec": SPEC | {"sink": {"uri": "http://other"}}}, id="sink"),
    ],
)
def test_even_a_brief_outage_makes_a_changed_source_unknown(change: dict[str, Any]) -> None:
    body = request(**({"status": in_pool()} | change))
    assert condition(answer(body, silent(0)), "Ready") == ("Unknown", "PoolNotAnswering")


def test_true_of_an_old_deployment_is_no_answer_of_the_pool() -> None:
    children = running_deployment()
    before = written(answer(request(children=children), None, KindOptions(types=OPTIONS.types)))
    assert condition({"status": before}, "Ready") == ("True", None)
    response = answer(request(status=before, children=children), silent(0))
    assert condition(response, "Ready") == ("Unknown", "PoolNotAnswering")


@pytest.mark.parametrize("told", [NO, silent(0), silent(60)], ids=["refused", "brief", "silent"])
def test_old_deployment_stays_until_the_pool_runs_the_source(told: Told) -> None:
    children = running_deployment()
    for status in (None, in_pool()):
        [kept] = answer(request(status=status, children=children), told)["children"]
        [running] = children["Deployment.apps/v1"].values()
        assert kept["spec"]["template"] == running["spec"]["template"]


BEING_DELETED = pool_object("True")
next(iter(BEING_DELETED.values()))["hooks/many"]["metadata"] = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize("related", [{}, BEING_DELETED], ids=["missing", "being-deleted"])
@pytest.mark.parametrize("told", [YES, NO, silent(0)], ids=["yes", "no", "brief"])
def test_without_its_source_pool_no_answer_counts(related: Any, told: Told) -> None:
    response = answer(request(status=in_pool(), related=related, children=running_deployment()), told)
    assert condition(response, "Ready") == ("Unknown", "PoolNotAnswering")
    assert message(response).startswith("SourcePool hooks/many does not exist")
    assert len(response["children"]) == 1
    assert "resyncAfterSeconds" not in response


def test_old_deployment_stays_while_the_sink_is_lost() -> None:
    body = request(SPEC | {"sink": BROKER_SINK}, status=in_pool(), children=running_deployment())
    assert len(answer(body, YES)["children"]) == 1


def test_old_deployment_ends_only_after_the_status_names_the_pool() -> None:
    """The pool's list is made from the status. Otherwise it could end what just began, and nobody would send."""
    children = running_deployment()
    first = answer(request(children=children), YES)
    assert len(first["children"]) == 1
    assert (first["status"]["pool"], first["resyncAfterSeconds"]) == ("many", 1)
    second = answer(request(status=written(first), children=children), YES)
    assert second["children"] == []
    assert written(second) == written(first)


def test_pool_is_named_until_the_new_deployment_is_available() -> None:
    options = KindOptions(types=OPTIONS.types)
    back = answer(request(status=in_pool()), None, options)
    assert (back["status"]["pool"], len(back["children"])) == ("many", 1)
    assert condition(back, "Ready") == ("Unknown", "AdapterStarting")
    available = answer(request(status=written(back), children=running_deployment()), None, options)
    assert condition(available, "Ready") == ("True", None)
    assert "pool" not in available["status"]


def test_suspended_source_leaves_the_pool_on_the_way_back() -> None:
    response = answer(request(SPEC | {"suspend": True}, status=in_pool()), None, KindOptions())
    assert "pool" not in response["status"]


def test_source_stays_in_its_old_pool_until_the_new_one_runs_it() -> None:
    status = in_pool() | {"pool": "old"}
    assert answer(request(status=status), silent(0))["status"]["pool"] == "old"
    assert answer(request(status=status), YES)["status"]["pool"] == "many"


def test_invalid_spec_keeps_the_name_of_the_pool_that_goes_on() -> None:
    response = answer(request({"interval": 7}, status=in_pool()), None)
    assert condition(response, "Ready") == ("False", "InvalidSpec")
    assert response["status"]["pool"] == "many"


def test_lost_sink_says_that_a_source_goes_on() -> None:
    response = answer(request(SPEC | {"sink": BROKER_SINK}, status=in_pool()), YES)
    assert condition(response, "Deployed") == ("Unknown", "SinkNotResolved")
    assert condition(response, "Ready") == condition(response, "SinkProvided")
    assert response["children"] == []
    assert "A source that runs goes on" in message(response, "Deployed")


@pytest.mark.parametrize(
    ("told", "words"), [(YES, "does not run the source"), (silent(60), "has not confirmed yet that it stopped")]
)
def test_suspended_source_says_whether_the_pool_has_confirmed(told: Told, words: str) -> None:
    response = answer(request(SPEC | {"suspend": True}), told)
    assert condition(response, "Ready") == ("False", "Suspended")
    assert words in message(response)


def test_status_is_a_fixed_point() -> None:
    for told in (YES, NO, silent(60)):
        first = written(answer(request(), told))
        assert written(answer(request(status=first), told)) == first


def test_pool_and_trouble_of_the_source_are_related() -> None:
    body = CustomizeRequest.model_validate({"parent": parent(SPEC)})
    rules = customize(body, SETTINGS, options=OPTIONS)["relatedResources"]
    assert [(rule["resource"], rule.get("namespace"), rule.get("names")) for rule in rules] == [
        ("sourcepools", "hooks", ["many"]),
        ("troubledsources", "hooks", [UID]),
    ]
