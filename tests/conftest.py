"""Settings of all tests, and the pytest plugin for authors of kinds."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["adapter.testing"]

# Without a deadline, slow machines cause no failures.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


class OneProcessForTheCluster(LoadFileScheduling):
    """All cluster tests run in one process, because they share a control plane. Each other file is run by one process.

    The mark ``xdist_group`` has no effect with pytest 9.2 and pytest-xdist 3.8.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "tests/cluster" if nodeid.startswith("tests/cluster/") else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """For ``make test``, which runs several processes of pytest with ``--dist loadfile``."""
    return OneProcessForTheCluster(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Groups the skipped tests by their reason, so that a run does not look more complete than it was."""
    skipped = terminalreporter.getreports("skipped")
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        terminalreporter.section("skipped tests and what they need")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:>5}  {reason}")
