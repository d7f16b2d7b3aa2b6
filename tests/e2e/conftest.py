"""One installation per session, in the cluster of $KUBECONFIG. Without the needed variables all tests are skipped.

Only `make e2e` sets a default for ``SOURCE_IMAGE``: many users have a KUBECONFIG, and `make test` must not install
anything in their cluster.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.build import Unavailable
from tests.cluster.metacontroller import crds
from tests.e2e.cluster import Cluster
from tests.e2e.installation import QUEUE, Install, install_kind, installation
from tests.e2e.namespace import RestrictedNamespace, restricted_namespace

HERE = Path(__file__).parent
NEEDED = {
    "KUBECONFIG": "the kubeconfig of a cluster without SampleSource and Metacontroller",
    "SOURCE_IMAGE": "the name of this project's image, which the cluster can pull",
    "METACONTROLLER_IMAGE": "the name of an image with Metacontroller 4.17 at /usr/bin/metacontroller",
}
FIGURES = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = _missing()
    # Helm first: it installs in an empty cluster, before the fixture `cluster`. Then the quick start, while the hook
    # may still be starting, as for a user.
    first = [HERE / "test_helm.py", HERE / "test_quickstart.py"]
    items.sort(key=lambda item: first.index(item.path) if item.path in first else len(first))
    for item in items:
        if missing and HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=missing))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)


def _missing() -> str:
    """What is missing to run these tests; empty if nothing is."""
    missing = [f"${name} ({what})" for name, what in NEEDED.items() if not os.environ.get(name)]
    if not shutil.which("kubectl"):
        missing.append("kubectl on PATH")
    try:
        crds()
    except Unavailable as reason:
        missing.append(str(reason))
    return f"needs {', '.join(missing)}" if missing else ""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with installation(tmp_path_factory.mktemp("e2e")) as cluster:
        yield cluster


@pytest.fixture
def ns(cluster: Cluster) -> Iterator[RestrictedNamespace]:
    with restricted_namespace(cluster) as ns:
        yield ns


@pytest.fixture
def install(cluster: Cluster, tmp_path: Path) -> Iterator[Install]:
    """Install a kind with options of `sources manifests`. Teardown restores SampleSource and deletes other kinds."""
    own_kind = tmp_path / "own"

    def install(module: str, *options: str) -> None:
        install_kind(cluster, module, own_kind if module == QUEUE else tmp_path / "sample", *options)

    yield install
    cluster.kubectl("apply", "-k", "metacontroller/sources/sample_source")
    if own_kind.exists():
        cluster.kubectl("delete", "--ignore-not-found", "-k", str(own_kind))


@pytest.fixture
def figure(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """A function that takes a line to print after all tests."""
    return pytestconfig.stash.setdefault(FIGURES, []).append
