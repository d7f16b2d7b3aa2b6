"""A new version of the hook with an unchanged pod template restarts no pod."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.api import eventually
from tests.cluster.local_cluster import SOURCES, LocalCluster
from tests.cluster.namespace import SourceNamespace


def test_hook_upgrade_with_an_unchanged_template_restarts_no_pod(ns: SourceNamespace, new_hook: int) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    deployment, [pod] = ns.deployment(), ns.pods()
    ns.cluster.hook_proxy.backends[:] = [new_hook]
    touch(ns, "once")
    touch(ns, "twice")  # the second sync starts after the effects of the first
    assert ns.deployment() == deployment
    assert ns.pods() == [pod]


def touch(ns: SourceNamespace, how_often: str) -> None:
    """Cause a sync and wait for the hook's answer."""
    calls_before = len(ns.cluster.hook_proxy.calls(ns.name, "hello"))
    ns.api.patch(*SOURCES, "hello", {"metadata": {"annotations": {"touched": how_often}}}, ns.name)

    def answers() -> object:
        return ns.cluster.hook_proxy.calls(ns.name, "hello")[calls_before:]

    [answer, *_] = eventually(answers, bool, f"the new hook is called {how_often}", details=ns.describe)
    assert answer.status == 200


@pytest.fixture
def new_hook(cluster: LocalCluster) -> Iterator[int]:
    former = list(cluster.hook_proxy.backends)
    yield cluster.start_hook()
    cluster.hook_proxy.backends[:] = former
    cluster.hooks.pop().stop()
