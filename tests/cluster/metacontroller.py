"""The Metacontroller process: the binary of ``$METACONTROLLER`` or ``PATH``, run with its own ServiceAccount."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.cluster.build import Unavailable
from tests.cluster.control_plane import ControlPlane
from tests.deadline import DEADLINE_S
from tests.process.harness import free_port, listens, wait_until

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = ACCOUNT = "metacontroller"


def binary() -> str:
    found = os.environ.get("METACONTROLLER") or shutil.which("metacontroller")
    if not found or not Path(found).exists():
        raise Unavailable("the metacontroller binary is missing; put it on PATH or set $METACONTROLLER to its path")
    return found


def crds() -> Path:
    """The file with the CRDs of Metacontroller, which is not part of this project."""
    file = Path(os.environ.get("METACONTROLLER_CRDS") or ROOT.parent / "shared/reference/metacontroller-crds-v1.yaml")
    if not file.exists():
        raise Unavailable(
            "the CRDs of Metacontroller are missing; set $METACONTROLLER_CRDS to the path of their YAML file"
        )
    return file


class Metacontroller:
    """One process. A restart with another strategy takes over the existing objects."""

    def __init__(self, plane: ControlPlane, directory: Path) -> None:
        self._plane = plane
        self._directory = directory
        self._child: subprocess.Popen[bytes] | None = None
        self._binary = binary()
        self.log = directory / "metacontroller.log"
        self.metrics_url = ""

    def start(self, strategy: str = "dynamic-apply", *flags: str) -> None:
        token = self._plane.api.token(ACCOUNT, NAMESPACE)
        health, metrics = free_port(), free_port()
        self.metrics_url = f"http://127.0.0.1:{metrics}/metrics"
        # The port makes the name unique: several processes may start at the same time.
        kubeconfig = self._plane.write_kubeconfig(f"metacontroller-{health}", token)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [
                    self._binary, "--kubeconfig", str(kubeconfig), "--apply-strategy", strategy,
                    f"--metrics-address=127.0.0.1:{metrics}", f"--health-probe-bind-address=127.0.0.1:{health}",
                    "--client-go-qps=100", "--client-go-burst=200", "--workers=10", "--discovery-interval=1s",
                    *flags,
                ],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "HOME": str(self._directory)},
            )  # fmt: skip
        wait_until(lambda: listens(health) and listens(metrics), "Metacontroller", self.log_tail)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._child is None:
            return
        self._child.send_signal(number)
        try:
            self._child.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """0 while it does not run."""
        return self._child.pid if self._child else 0

    def log_tail(self) -> str:
        return "\n".join(line[:400] for line in self.log.read_text(errors="replace").splitlines()[-10:])
