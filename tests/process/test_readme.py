"""The README's call of the hook does what it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 20


def test_the_curl_call_of_the_readme_gets_a_deployment_and_a_status() -> None:
    call = re.search(r"^\$ (curl .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert call
    port = free_port()
    environ = {**os.environ, "ADAPTER_IMAGE": "adapter:1", "PORT": str(port), "HOST": "127.0.0.1"}
    hook = subprocess.Popen([sys.executable, "-m", "hooks"], cwd=ROOT, env=environ)
    try:
        wait_for(port)
        command = shlex.split(call.group(1).replace(":8080/", f":{port}/"))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    finally:
        hook.terminate()
        hook.wait(DEADLINE_S)
    answer = json.loads(done.stdout)
    assert [child["kind"] for child in answer["children"]] == ["Deployment"]
    assert answer["status"]["ceAttributes"][0]["type"] == "dev.knative.sample"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.05)
    raise AssertionError(f"nothing listens on port {port} after {DEADLINE_S} s")
