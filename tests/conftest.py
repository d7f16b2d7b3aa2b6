"""Settings of all tests, and the pytest plugin for authors of kinds."""

from collections import Counter

import pytest
from hypothesis import settings

pytest_plugins = ["adapter.testing"]

# Without a deadline, slow machines cause no failures.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Groups the skipped tests by their reason, so that a run does not look more complete than it was."""
    skipped = terminalreporter.getreports("skipped")
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        terminalreporter.section("skipped tests and what they need")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:>5}  {reason}")
