"""One control plane for all tests of a session; each test has a namespace of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import build, metacontroller
from tests.cluster.plane import ControlPlane, api_server, control_plane
from tests.cluster.samples import announce
from tests.cluster.world import Home, World, running_world


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A fixture of the session may have to wait for a whole control plane."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(300))
        if item.get_closest_marker("long") and not os.environ.get("LONG"):
            item.add_marker(pytest.mark.skip(reason="only with LONG=1"))


@pytest.fixture(scope="session")
def binaries() -> Path:
    try:
        return build.built()
    except build.Unavailable as reason:
        pytest.skip(str(reason))  # it says what to install


@pytest.fixture(scope="session")
def plane(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(binaries, tmp_path_factory.mktemp("plane")) as plane:
        yield plane


@pytest.fixture(scope="module")
def alone(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server of the module's own, and nothing that acts: what a test writes stays as it is."""
    with api_server(binaries, tmp_path_factory.mktemp("alone")) as plane:
        yield plane


@pytest.fixture(scope="session")
def world(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The plane with our CRD, roles and hook, and with Metacontroller at work."""
    try:
        metacontroller.binary(), metacontroller.crds()
    except build.Unavailable as reason:
        pytest.skip(str(reason))  # it says what to install
    with running_world(plane, tmp_path_factory.mktemp("world")) as world:
        announce(world)
        yield world


@pytest.fixture
def home(world: World) -> Iterator[Home]:
    """A namespace, and what a test does in it; whatever the test broke works again afterwards."""
    home = Home(world, f"t-{uuid.uuid4().hex[:8]}")
    try:
        yield home
    finally:
        home.close()
