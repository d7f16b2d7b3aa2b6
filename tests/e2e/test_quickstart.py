"""The commands of docs/install.md and docs/operate.md, from an empty cluster to events in a log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.api import eventually
from tests.e2e.cluster import Cluster
from tests.e2e.installation import QUICKSTART, install_commands
from tests.e2e.place import RESTRICTED
from tests.pages import blocks, commands


@pytest.fixture
def strict_default(cluster: Cluster) -> Iterator[None]:
    """Make the namespace ``default``, which the quick start uses, accept only restricted pods during the test."""
    labels = cluster.api.get("v1", "namespaces", "default")["metadata"].get("labels", {})
    cluster.api.patch("v1", "namespaces", "default", {"metadata": {"labels": RESTRICTED}})
    yield
    cluster.kubectl("delete", "--ignore-not-found", "-f", QUICKSTART)
    before = {name: labels.get(name) for name in RESTRICTED}
    cluster.api.patch("v1", "namespaces", "default", {"metadata": {"labels": before}})


@pytest.mark.usefixtures("strict_default")
def test_install_commands_show_events_in_the_log_of_the_display(
    cluster: Cluster, figure: Callable[[str], None]
) -> None:
    listed = install_commands()[1]
    said, started = "", time.monotonic()
    for command in listed:
        output = cluster.run(command)
        said += f"$ {command}\n{output}"
        if command.startswith("kubectl wait --for=condition=Ready"):
            figure(f"quick start of the install page: Ready {time.monotonic() - started:.1f} s after `kubectl apply`")
    assert re.search(r"^hello +True +http://event-display\.default\.svc\.\S+ +1s ", said, re.MULTILINE), said
    assert re.search(r"^FIELD: sink <Object>$", said, re.MULTILINE), said
    logs = next(it for it in listed if "logs" in it)

    def numbers() -> list[int]:
        return [int(it) for it in re.findall(r'dev\.knative\.sample  \{"sequence": (\d+)', cluster.run(logs))]

    seen = eventually(numbers, lambda it: len(it) >= 3, "three events in the display's log", more=cluster.last_words)
    assert seen == list(range(seen[0], seen[0] + len(seen)))


@pytest.mark.usefixtures("strict_default")
def test_commands_to_operate_and_upgrade_work(cluster: Cluster) -> None:
    for command in install_commands()[1][:2]:
        cluster.run(command)
    described, logs = (
        command for block in blocks("docs/operate.md") if block.language == "console" for command in block.commands
    )
    assert re.search(r"^Kind: +SampleSource$", cluster.run(described), re.MULTILINE)
    assert '"started"' in cluster.run(logs)
    before = cluster.run("kubectl get pods -l knative-eventing-source-name=hello -o name")
    for command in commands("docs/install.md", "## Upgrade"):
        cluster.run(command)
    assert cluster.run("kubectl get pods -l knative-eventing-source-name=hello -o name") == before
