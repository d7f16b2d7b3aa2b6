"""One control plane per session, one namespace per test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import build, metacontroller
from tests.cluster.apply_strategies import apply_with
from tests.cluster.control_plane import ControlPlane, api_server
from tests.cluster.local_cluster import LocalCluster, control_plane_with, running_cluster
from tests.cluster.namespace import SourceNamespace
from tests.cluster.samples import LONGEST_KIND, SAMPLES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("long") and not os.environ.get("LONG"):
            item.add_marker(pytest.mark.skip(reason="the long forms run only with LONG=1 (make test-long)"))


@pytest.fixture(scope="session")
def binaries() -> Path:
    try:
        return build.built()
    except build.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def bare_api_server(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server without controllers: nothing changes what a test writes. Each module has its own namespace."""
    with api_server(binaries, tmp_path_factory.mktemp("alone")) as plane:
        yield plane


@pytest.fixture(scope="session")
def needs_metacontroller() -> None:
    missing = list(_missing(metacontroller.binary, metacontroller.crds))
    if missing:
        pytest.skip(" · ".join(missing))


@pytest.fixture(scope="session")
def cluster(
    needs_metacontroller: None, binaries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalCluster]:
    """A control plane with the CRDs, the roles, the hook and a running Metacontroller."""
    kinds = [*(sample.kind for sample in SAMPLES), LONGEST_KIND]
    with (
        control_plane_with(kinds, binaries, tmp_path_factory.mktemp("plane")) as plane,
        running_cluster(plane, tmp_path_factory.mktemp("cluster")) as cluster,
    ):
        yield cluster


def _missing(*find: Callable[[], object]) -> Iterator[str]:
    for each in find:
        try:
            each()
        except build.Unavailable as reason:
            yield str(reason)


@pytest.fixture
def ns(cluster: LocalCluster) -> Iterator[SourceNamespace]:
    """A new namespace. Teardown restores the hook, Metacontroller and the settings that the test changed."""
    ns = SourceNamespace(cluster, f"t-{uuid.uuid4().hex[:8]}")
    try:
        yield ns
    finally:
        ns.close()


@pytest.fixture
def default_strategy(cluster: LocalCluster) -> Iterator[None]:
    """Restart Metacontroller with its default strategy after the test."""
    yield
    apply_with(cluster, "dynamic-apply")
