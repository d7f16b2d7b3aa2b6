"""The examples of docs/credentials.md with ``sources run``: real hook and adapter, gateways that check credentials."""

from __future__ import annotations

import base64
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from tests.deadline import DEADLINE_S
from tests.pages import blocks
from tests.process.harness import ScriptedSink, wait_until
from tests.process.sources import interrupted, read_until, run_until, running

PAGE = "docs/credentials.md"
SECRET = "hunter2-4c0ffee5"
BASIC = base64.b64encode(f"admin:{SECRET}".encode()).decode()
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Gateway(ScriptedSink):
    """Accepts requests with the header ``name: value``. Others get 401, and see the value that they sent."""

    def __init__(self, name: str, value: str, context: ssl.SSLContext | None = None) -> None:
        super().__init__(self._answer, context)
        self._name, self._value = name, value

    def _answer(self, connection: socket.socket, n: int) -> None:
        headers, _ = self.requests[n]
        if headers.get(self._name) == self._value:
            connection.sendall(ACCEPTED)
            return
        body = f"not authorized: {headers.get(self._name)}".encode()
        head = f"HTTP/1.1 401 Unauthorized\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)


def example(heading: str, url: str, edit: Callable[[Any], None] = lambda source: None) -> list[Any]:
    """The objects of an example that sends to ``url`` every 200 ms, with ``SECRET`` as its secret."""
    [block] = [each for each in blocks(PAGE, heading) if each.language == "yaml"]
    objects = list(yaml.safe_load_all(block.text.replace("write-your-own", SECRET)))
    objects[-1]["spec"] |= {"interval": "200ms", "sink": {"uri": url}}
    edit(objects[-1]["spec"])
    return objects


def written(directory: Path, objects: list[Any]) -> Path:
    file = directory / "source.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return file


@pytest.mark.parametrize(
    ("heading", "name", "value"),
    [
        pytest.param("## An API key", "x-api-key", SECRET, id="api-key"),
        pytest.param("## A user and a password", "authorization", f"Basic {BASIC}", id="openfaas"),
    ],
)
def test_gateway_gets_the_credentials_of_the_example(tmp_path: Path, heading: str, name: str, value: str) -> None:
    gateway = Gateway(name, value)
    with gateway, running("--logs", written(tmp_path, example(heading, gateway.url))) as process:
        seen = read_until(process, "^hello +SampleSource +True ")
        gateway.wait_for(1)
        result = interrupted(process, seen)
    assert result.returncode == 0, result.stderr
    assert {headers.get(name) for headers, _ in gateway.requests} == {value}
    assert re.search(r"^hello +SampleSource +True ", result.stdout, re.MULTILINE), result.stdout
    assert_hidden(result.stdout + result.stderr)


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        pytest.param("## An API key", "x-api-key", id="api-key"),
        pytest.param("## A user and a password", "authorization", id="openfaas"),
    ],
)
def test_refused_credentials_are_reported_without_their_text(tmp_path: Path, heading: str, name: str) -> None:
    with Gateway(name, "another") as gateway:
        file = written(tmp_path, example(heading, gateway.url))
        result = run_until('"code": "401"', "--logs", file, stream="stderr")
    assert "not authorized" in result.stderr, result.stderr
    assert "(secret)" in result.stderr, result.stderr
    assert_hidden(result.stdout + result.stderr)


def test_gateway_refuses_a_source_without_its_credentials(tmp_path: Path) -> None:
    def without(spec: Any) -> None:
        del spec["sinkAuth"]

    with Gateway("x-api-key", SECRET) as gateway:
        file = written(tmp_path, example("## An API key", gateway.url, without))
        run_until('"code": "401"', "--logs", file, stream="stderr")
    assert "x-api-key" not in gateway.requests[0][0]


def test_missing_secret_is_named_and_the_source_is_not_ready(tmp_path: Path) -> None:
    for heading, name in (("## An API key", "gateway"), ("## A client certificate", "hello-client")):
        *_, source = example(heading, "https://127.0.0.1:1/")
        missing = f'CreateContainerConfigError: Secret "{name}" not found in namespace "default"'
        result = run_until(re.escape(missing), written(tmp_path, [source]))
        assert not re.search(r"^hello +SampleSource +True ", result.stdout, re.MULTILINE), result.stdout


def test_client_certificate_is_presented_from_a_private_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_ca, client_ca = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_ca.issue_cert("localhost").configure_cert(context)
    client_ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    client = client_ca.issue_cert("client.example")
    data = {
        "tls.crt": "".join(each.bytes().decode() for each in client.cert_chain_pems),
        "tls.key": client.private_key_pem.bytes().decode(),
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hello-client"}, "stringData": data}
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))

    def trusting(spec: Any) -> None:
        spec["sink"]["CACerts"] = server_ca.cert_pem.bytes().decode()

    with Gateway("ce-type", "dev.knative.sample", context) as gateway:
        objects = example("## A client certificate", gateway.url, trusting)
        with running(written(tmp_path, [secret, *objects]), "--logs") as process:
            wait_until(lambda: gateway.requests, "a request", lambda: [*temporary.iterdir()])
            [directory] = temporary.glob("sources-tls-*")
            assert directory.stat().st_mode & 0o777 == 0o700
            assert {file.name for file in (directory / "hello-client").iterdir()} == {"tls.crt", "tls.key"}
            process.terminate()
            out, err = process.communicate(timeout=DEADLINE_S)
        assert "PRIVATE KEY" not in out + err
    assert [*temporary.glob("sources-tls-*")] == []


def assert_hidden(output: str) -> None:
    assert SECRET not in output
    assert BASIC not in output
