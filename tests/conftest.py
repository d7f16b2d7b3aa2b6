"""Settings of all tests, and the pytest plugin for authors of kinds."""

import gc
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["adapter.testing", "tests.again"]

# Without a deadline, slow machines cause no failures.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


# Each process of pytest starts what its cluster tests need: a control plane, or only an API server. The files of a
# group run in one process, so that these are started once. Other files of tests/cluster are one more group.
API_SERVER = "tests that need only an API server"
GROUPS = {
    "tests/cluster/test_admission_policies.py": API_SERVER,
    "tests/cluster/test_api_server.py": API_SERVER,
    "tests/cluster/test_fixed_point.py": API_SERVER,
    "tests/cluster/test_pod_values.py": API_SERVER,
    "tests/cluster/test_kubectl.py": API_SERVER,
    "tests/cluster/test_chart.py": "kubectl and Helm",
    "tests/cluster/test_helm.py": "kubectl and Helm",
    "tests/cluster/test_trust_page.py": API_SERVER,
    "tests/cluster/test_uninstall.py": "a control plane of its own",
}


class ClusterScheduling(LoadFileScheduling):
    """Each group of cluster tests, and each other file, is run by one process.

    The mark ``xdist_group`` has no effect with pytest 9.2 and pytest-xdist 3.8.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return GROUPS.get(file, "the cluster" if file.startswith("tests/cluster/") else file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """For ``make test``, which runs several processes of pytest with ``--dist loadfile``."""
    return ClusterScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """The collected tests are hundreds of megabytes that live until the end. Garbage collections ignore them."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Groups the skipped tests by their reason, so that a run does not look more complete than it was."""
    skipped = terminalreporter.getreports("skipped")
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        terminalreporter.section("skipped tests and what they need")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:>5}  {reason}")
