"""A new version of the hook with an unchanged pod template restarts no pod."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.api import eventually
from tests.cluster.world import SOURCES, Home, World


def test_hook_upgrade_with_an_unchanged_template_restarts_no_pod(home: Home, new_hook: int) -> None:
    home.service()
    home.source()
    home.ready()
    deployment, [pod] = home.deployment(), home.pods()
    home.world.gate.backends[:] = [new_hook]
    touch(home, "once")
    touch(home, "twice")  # the second sync starts after the effects of the first
    assert home.deployment() == deployment
    assert home.pods() == [pod]


def touch(home: Home, how_often: str) -> None:
    """Cause a sync and wait for the hook's answer."""
    asked = len(home.world.gate.calls(home.namespace, "hello"))
    home.api.patch(*SOURCES, "hello", {"metadata": {"annotations": {"touched": how_often}}}, home.namespace)

    def answers() -> object:
        return home.world.gate.calls(home.namespace, "hello")[asked:]

    [answer, *_] = eventually(answers, bool, f"the new hook is called {how_often}", more=home.story)
    assert answer.status == 200


@pytest.fixture
def new_hook(world: World) -> Iterator[int]:
    former = list(world.gate.backends)
    yield world.start_hook()
    world.gate.backends[:] = former
    world.hooks.pop().stop()
