"""A Kubernetes control plane on this machine: etcd, API server, controller manager, scheduler, and kwok for the node.

kwok reports pods as running without running them. It ignores the namespace ``by-hand``: there, tests write the status
of each pod.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.api import Api, NotFoundError, Object
from tests.deadline import DEADLINE_S
from tests.process.harness import free_port

BY_HAND = "by-hand"
UNLIMITED = ("--kube-api-qps=1000", "--kube-api-burst=2000")  # by default, controllers send 20 requests a second
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "fake", "annotations": {"kwok.x-k8s.io/node": "fake"}},
}


class ControlPlane:
    """``api`` has administrator rights."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self.binaries = binaries
        self.directory = directory
        self.url = f"https://127.0.0.1:{free_port()}"
        self.api = Api(self.url, "admin-token")
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._etcd = f"http://127.0.0.1:{free_port()}"
        self._prepare()

    def start(self, crds: Sequence[Object] = ()) -> None:
        """Start all programs. Every program knows the kinds of ``crds`` from its start.

        The API server and kube-controller-manager look for other kinds only every 30 s.
        """
        self.start_api_server()
        if crds:
            code, _, errors = self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(crds))
            assert (code, errors) == (0, ""), errors
            self.api.wait_until_served(*crds)
        kubeconfig = str(self.kubeconfig)
        account_key = str(self.directory / "pki/account.key")
        self._spawn(
            "kube-controller-manager", "--kubeconfig", kubeconfig, "--leader-elect=false", "--secure-port=0",
            "--service-account-private-key-file", account_key, "--node-monitor-grace-period=1h",
            f"--root-ca-file={self.directory}/pki/apiserver.crt", "--use-service-account-credentials=true",
            *UNLIMITED,
        )  # fmt: skip
        self._spawn("kube-scheduler", "--kubeconfig", kubeconfig, "--leader-elect=false", "--secure-port=0", *UNLIMITED)
        self._spawn(
            "kwok", "--kubeconfig", kubeconfig, "--config", str(self._stages()), "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        )  # fmt: skip
        self.api.create(NODE)
        self._wait("the node", self._node_is_ready)
        self._wait("a ServiceAccount", lambda: self.api.get("v1", "serviceaccounts", "default", "default"))

    def start_api_server(self) -> None:
        """Start only etcd and the API server: no controller changes an object."""
        self._start_etcd()
        self._start_apiserver()
        self._wait("the API server", lambda: self.api.ready())

    def stop(self) -> None:
        self.api.close()
        for _, child in reversed(self._children):
            child.send_signal(signal.SIGTERM)
        for _, child in reversed(self._children):
            try:
                child.wait(1)
            except subprocess.TimeoutExpired:  # the API server waits for open watches to end
                child.kill()
                child.wait()

    def processes(self) -> dict[str, int]:
        """The id of each program."""
        return {name: child.pid for name, child in self._children}

    def kubectl(
        self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None
    ) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        command = [str(self.binaries / "kubectl"), "--kubeconfig", str(kubeconfig or self.kubeconfig), *arguments]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.directory)}
        done = subprocess.run(
            command, input=stdin, env=environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        return done.returncode, done.stdout, done.stderr

    def audit_position(self) -> int:
        """The size of the API server's audit log, in bytes."""
        return (self.directory / "audit.log").stat().st_size

    def audit(self, since: int = 0) -> Iterator[dict[str, Any]]:
        """The entries of the API server's audit log from the position ``since``, one for each request."""
        with (self.directory / "audit.log").open("rb") as log:
            if since:  # the position may be inside a line
                log.seek(since - 1)
                log.readline()
            for line in log:
                if line.endswith(b"\n"):  # the last line may be half written
                    yield json.loads(line)

    def write_kubeconfig(self, name: str, token: str) -> Path:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
        file = self.directory / f"{name}.kubeconfig"
        file.write_text(json.dumps(config))
        return file

    def log_tail(self) -> str:
        """The last lines of each log, to print when a wait fails."""
        ended = [f"{name} exited with {child.poll()}" for name, child in self._children if child.poll() is not None]
        logs = [f"== {name}\n{_tail(self.directory / f'{name}.log')}" for name, _ in self._children]
        return "\n".join([*ended, *logs])

    def _prepare(self) -> None:
        pki = self.directory / "pki"
        pki.mkdir(parents=True)
        openssl = ["openssl", "genrsa", "-out", str(pki / "account.key"), "2048"]
        subprocess.run(openssl, check=True, capture_output=True)
        self.kubeconfig = self.write_kubeconfig("admin", "admin-token")
        (self.directory / "tokens.csv").write_text('admin-token,admin,admin,"system:masters"\n')
        (self.directory / "audit-policy.yaml").write_text(json.dumps(AUDIT_POLICY))

    def _start_etcd(self) -> None:
        peer = f"http://127.0.0.1:{free_port()}"
        self._spawn(
            "etcd", "--data-dir", str(self.directory / "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
            "--listen-client-urls", self._etcd, "--advertise-client-urls", self._etcd, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        )  # fmt: skip

    def _start_apiserver(self) -> None:
        directory = self.directory
        self._spawn(
            "kube-apiserver", "--etcd-servers", self._etcd, "--secure-port", self.url.rpartition(":")[2],
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
            "--cert-dir", str(directory / "pki"), "--token-auth-file", str(directory / "tokens.csv"),
            "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file", str(directory / "pki/account.key"),
            "--service-account-signing-key-file", str(directory / "pki/account.key"),
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            "--audit-policy-file", str(directory / "audit-policy.yaml"),
            "--audit-log-path", str(directory / "audit.log"), "--audit-log-maxsize=10000",
            "--service-cluster-ip-range=10.0.0.0/16",
        )  # fmt: skip

    def _stages(self) -> Path:
        stages = [yaml.safe_load(file.read_text()) for file in sorted((self.binaries / "stages").glob("*.yaml"))]
        for stage in stages:
            if stage["metadata"]["name"] == "pod-ready":
                elsewhere = {"key": ".metadata.namespace", "operator": "NotIn", "values": [BY_HAND]}
                stage["spec"]["selector"]["matchExpressions"].append(elsewhere)
        file = self.directory / "stages.yaml"
        file.write_text(yaml.safe_dump_all(stages))
        return file

    def _node_is_ready(self) -> bool:
        conditions = self.api.get("v1", "nodes", "fake").get("status", {}).get("conditions", [])
        return any((condition["type"], condition["status"]) == ("Ready", "True") for condition in conditions)

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                [str(self.binaries / name), *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.directory,
                env={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
            )
        self._children.append((name, child))

    def _wait(self, what: str, met: Callable[[], Any]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                if met():
                    return
            except NotFoundError:
                pass
            dead = [name for name, child in self._children if child.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise AssertionError(f"{what}: not ready within {DEADLINE_S} s\n{self.log_tail()}")
            time.sleep(0.05)


@contextmanager
def control_plane(binaries: Path, directory: Path, crds: Sequence[Object] = ()) -> Iterator[ControlPlane]:
    plane = ControlPlane(binaries, directory)
    try:
        plane.start(crds)
        yield plane
    finally:
        plane.stop()


@contextmanager
def api_server(binaries: Path, directory: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(binaries, directory)
    try:
        plane.start_api_server()
        yield plane
    finally:
        plane.stop()


def _tail(file: Path, lines: int = 15) -> str:
    kept: Sequence[str] = file.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(kept)
