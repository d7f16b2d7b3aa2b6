"""CronSource as a process: the command of its page, and the errors of an adapter."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.deadline import DEADLINE_S
from tests.pages import page
from tests.process.sources import ROOT, sources


def test_command_of_the_page_sends_an_event() -> None:
    command = re.search(r"^\$ sources (run --once .*)$", page("docs/sources/cron.md"), re.MULTILINE)
    assert command
    ran = sources(*command[1].split())
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    shown = re.search(r"  good-morning  dev\.knative\.cron\.tick  (\{.*\})$", ran.stdout, re.MULTILINE)
    assert shown, ran.stdout
    scheduled = datetime.fromisoformat(json.loads(shown[1])["scheduledTime"])
    assert scheduled.utcoffset() in (timedelta(hours=1), timedelta(hours=2))
    assert abs(datetime.now(UTC) - scheduled) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({"schedule": "0 9 * * MN"}, 'SOURCE_CONFIG, field schedule, is "0 9 * * MN": "0 9 * * MN" is not '
                     'a cron expression: bad day-of-week; write one like "0 9 * * MON-FRI"', id="expression"),
        pytest.param({"schedule": "0 9 * * *", "timeZone": "x/y"}, 'SOURCE_CONFIG, field timeZone, is "x/y": there '
                     'is no time zone "x/y"; write the name of an IANA time zone, like '
                     "Europe/Berlin or UTC", id="time zone"),
    ],
)  # fmt: skip
def test_invalid_cron_source_is_one_line_with_exit_code_2(config: dict[str, str], message: str) -> None:
    own = {"SOURCE_KIND": "CronSource", "SOURCE_CONFIG": json.dumps(config)}
    env = {"PYTHONPATH": str(ROOT), "K_SINK": "http://h", "EVENT_SOURCE": "/a/b", **own}
    done = subprocess.run(
        [sys.executable, "-m", "adapter"], env=env, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert (done.returncode, done.stderr) == (2, f"{message}\n")
