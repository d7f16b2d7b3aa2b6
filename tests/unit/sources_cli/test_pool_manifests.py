"""``sources manifests --pool``: what it writes for a kind that a SourcePool runs, and which kinds it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hooks.app import options_from
from sources_cli.arguments import ManifestsOptions
from sources_cli.generate.rbac import rbac
from sources_cli.kind import kind_named
from sources_cli.manifests import controller
from sources_cli.problem import Problem

KIND = kind_named("SampleSource", "adapter.sources")
ALONE = ManifestsOptions(KIND.module)
POOLED = replace(ALONE, pool="many")


def test_both_paths_name_the_pool() -> None:
    document = controller(KIND, POOLED)
    paths = [hook["webhook"]["path"] for hook in document["spec"]["hooks"].values()]
    assert [options_from(path.partition("?")[2].encode()).pool for path in paths] == ["many", "many"]


def test_without_the_option_nothing_names_a_pool() -> None:
    assert "pool" not in str(controller(KIND, ALONE))


def test_metacontroller_may_delete_deployments_and_read_pools_only_with_a_pool() -> None:
    def rights(pool: bool) -> set[tuple[str, str]]:
        role = rbac(KIND, ALONE.sink_kinds, ALONE.metacontroller, pool=pool)[-2]
        return {(rule["resources"][0], verb) for rule in role["rules"] for verb in rule["verbs"]}

    assert rights(True) - rights(False) == {
        ("deployments", "delete"),
        *((name, verb) for name in ("sourcepools", "troubledsources") for verb in ("list", "watch")),
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [("PollSource", "PollSource polls"), ("WebhookSource", "WebhookSource listens"), ("CronSource", "is not a Timer")],
)
def test_kind_that_cannot_join_is_refused(name: str, words: str) -> None:
    with pytest.raises(Problem, match=f"--pool many: .*{words}; a SourcePool runs only kinds that are Timers"):
        controller(kind_named(name, "adapter.sources"), POOLED)
