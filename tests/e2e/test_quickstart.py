"""The commands of docs/install.md and docs/operate.md, from an empty cluster to events in a log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.api import eventually
from tests.e2e.cluster import Cluster
from tests.e2e.installation import QUICKSTART, install_commands
from tests.e2e.namespace import RESTRICTED
from tests.pages import blocks


@pytest.fixture
def restricted_default_namespace(cluster: Cluster) -> Iterator[None]:
    """Make the namespace ``default``, which the quick start uses, accept only restricted pods during the test."""
    labels = cluster.api.get("v1", "namespaces", "default")["metadata"].get("labels", {})
    cluster.api.patch("v1", "namespaces", "default", {"metadata": {"labels": RESTRICTED}})
    yield
    cluster.kubectl("delete", "--ignore-not-found", "-k", QUICKSTART)
    before = {name: labels.get(name) for name in RESTRICTED}
    cluster.api.patch("v1", "namespaces", "default", {"metadata": {"labels": before}})


@pytest.mark.usefixtures("restricted_default_namespace")
def test_install_commands_show_events_in_the_log_of_the_display(
    cluster: Cluster, figure: Callable[[str], None]
) -> None:
    listed = install_commands()[1]
    transcript, started = "", time.monotonic()
    for command in listed:
        output = cluster.run(command)
        transcript += f"$ {command}\n{output}"
        if command.startswith("kubectl wait --for=condition=Ready"):
            figure(f"quick start of the install page: Ready {time.monotonic() - started:.1f} s after `kubectl apply`")
    assert re.search(
        r"^(?:samplesource\S*/)?hello +True +http://event-display\.default\.svc\.\S+ +1s ", transcript, re.MULTILINE
    ), transcript
    assert re.search(r"^FIELD: sink <Object>$", transcript, re.MULTILINE), transcript
    logs = next(command for command in listed if "logs" in command)

    def numbers() -> list[int]:
        return [int(number) for number in re.findall(r'dev\.knative\.sample  \{"sequence": (\d+)', cluster.run(logs))]

    seen = eventually(
        numbers, lambda found: len(found) >= 3, "three events in the display's log", details=cluster.log_tail
    )
    assert seen == list(range(seen[0], seen[0] + len(seen)))


@pytest.mark.usefixtures("restricted_default_namespace")
def test_commands_to_operate_and_upgrade_work(cluster: Cluster) -> None:
    for command in install_commands()[1][:2]:
        cluster.run(command)
    explain, describe, logs, restart, *_ = (
        command for block in blocks("docs/operate.md") if block.language == "console" for command in block.commands
    )
    assert "SampleSource" in cluster.run(explain)
    assert re.search(r"^Kind: +SampleSource$", cluster.run(describe), re.MULTILINE)
    assert '"started"' in cluster.run(logs)
    old = _adapters(cluster)
    cluster.run(restart)
    new = eventually(
        lambda: _adapters(cluster),
        lambda found: len(found) == 1 and found != old,
        "one new pod",
        details=cluster.log_tail,
    )
    before = list(new)
    for command in upgrade_commands():
        cluster.run(command)
    assert _adapters(cluster) == before


def upgrade_commands() -> list[str]:
    """Those for kustomize."""
    _, kustomize, *_ = (block for block in blocks("docs/upgrade.md") if block.language == "console")
    return kustomize.commands


def _adapters(cluster: Cluster) -> list[str]:
    """The pods of the source. The pod of an earlier source with the same name may still be terminating."""
    pods = cluster.pods("default", "knative-eventing-source-name=hello")
    return [pod["metadata"]["name"] for pod in pods if not pod["metadata"].get("deletionTimestamp")]
