"""The commands of docs/trust.md make Secrets with which the hook starts and answers the right caller."""

from __future__ import annotations

import base64
import http.client
import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.mounts import mount
from tests.pages import blocks
from tests.process.harness import DEADLINE_S, running_hook

PAGE, NAMESPACE = "docs/trust.md", "sample-source"
HOST = "sources-hook.sample-source"
SECRETS = ("sources-hook-tls", "sources-hook-token", "sources-hook-client-tls")


@pytest.fixture(scope="module")
def secrets(bare_api_server: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The Secrets of the page, made by its commands in their order."""
    plane, directory = bare_api_server, tmp_path_factory.mktemp("empty")
    environ = {
        "PATH": f"{plane.binaries}:{os.environ['PATH']}",
        "KUBECONFIG": str(plane.kubeconfig),
        "HOME": str(directory),
    }
    commands = [command for block in blocks(PAGE) if block.language == "console" for command in block.commands]
    if plane.api.find("v1", "namespaces", NAMESPACE):  # another test has made it
        commands.remove(f"kubectl create namespace {NAMESPACE}")
    for name in SECRETS:
        plane.api.delete("v1", "secrets", name, NAMESPACE)
    for command in commands:
        done = subprocess.run(
            command,
            shell=True,
            cwd=directory,
            env=environ,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return {
        name: {
            key: base64.b64decode(value)
            for key, value in plane.api.get("v1", "secrets", name, NAMESPACE)["data"].items()
        }
        for name in SECRETS
    }


def call(port: int, context: ssl.SSLContext, token: str) -> int:
    """The status of a sync by a caller that knows the hook by the name of its Service."""
    connection = http.client.HTTPSConnection(HOST, port, timeout=DEADLINE_S, context=context)
    plain = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
    connection.sock = context.wrap_socket(plain, server_hostname=HOST)
    try:
        connection.request("POST", "/sync", b"{}", {"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_commands_of_the_page_make_what_the_hook_and_its_caller_need(
    secrets: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    assert set(secrets["sources-hook-tls"]) == {"tls.crt", "tls.key", "ca.crt"}
    mount(tmp_path / "tls", secrets["sources-hook-tls"])
    mount(tmp_path / "token", secrets["sources-hook-token"])
    mount(tmp_path / "client", secrets["sources-hook-client-tls"])
    context = ssl.create_default_context(cadata=secrets["sources-hook-tls"]["ca.crt"].decode())
    context.load_cert_chain(tmp_path / "client/tls.crt", tmp_path / "client/tls.key")
    token = secrets["sources-hook-token"]["token"].decode().strip()
    environ = {
        "TLS_DIR": str(tmp_path / "tls"),
        "CLIENT_CA_FILE": str(tmp_path / "tls/ca.crt"),
        "AUTH_TOKEN_FILE": str(tmp_path / "token/tokens"),
    }
    with running_hook(**environ) as hook:
        port = int(hook.url.rpartition(":")[2])
        assert call(port, context, token) == 400  # accepted, and the body is invalid
        assert call(port, context, "x" * 64) == 401


def test_host_of_the_page_is_the_one_that_metacontroller_calls() -> None:
    names = {name for block in blocks(PAGE) for name in re.findall(r"sources-hook\.[a-z-]+", block.text)}
    assert names == {HOST}
