"""The hook with TLS, tokens and client certificates: who is refused and how, changed files, limits, and the end."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.mounts import client_pair, mount
from tests.process.cgroup import memory_limit
from tests.process.harness import DEADLINE_S, Process, RunningHook, free_port, listens, running_hook, wait_until

ROOT = Path(__file__).resolve().parents[2]
REQUEST = (ROOT / "tests/contract/sync-request.json").read_bytes()
CA, CLIENTS, OTHERS = trustme.CA(), trustme.CA(), trustme.CA()
TOKEN, NEXT = "0123456789abcdef0123", "fedcba98765432100123"
CONNECTIONS = 64
HEAD = b"POST /sync HTTP/1.1\r\nHost: h\r\n"


def pair() -> dict[str, bytes]:
    """A new certificate of the hook with its key."""
    issued = CA.issue_cert("127.0.0.1")
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
    return {"tls.crt": chain, "tls.key": issued.private_key_pem.bytes()}


def environ(directory: Path, *, mutual: bool = False, token: bool = False) -> dict[str, str]:
    """Settings for files in ``directory``, which are written."""
    extra = {"ca.crt": CLIENTS.cert_pem.bytes(), "tokens": TOKEN.encode()}
    mount(directory, pair() | extra)
    chosen = {"TLS_DIR": str(directory)}
    chosen |= {"CLIENT_CA_FILE": str(directory / "ca.crt")} if mutual else {}
    return chosen | ({"AUTH_TOKEN_FILE": str(directory / "tokens")} if token else {})


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHook]:
    """It demands a client certificate and a token."""
    with running_hook(**environ(tmp_path_factory.mktemp("hook"), mutual=True, token=True)) as started:
        yield started


def port_of(hook: RunningHook) -> int:
    return int(hook.url.rpartition(":")[2])


def client_context(directory: Path, authority: trustme.CA | None = CLIENTS) -> ssl.SSLContext:
    """Of a caller that trusts the CA of the hook, with a client certificate of ``authority``."""
    context = ssl.create_default_context()
    CA.configure_trust(context)
    if authority:
        for name, content in client_pair(authority).items():
            (directory / name).write_bytes(content)
        context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    return context


def anyone() -> ssl.SSLContext:
    return client_context(Path(), None)


@contextmanager
def connected(port: int, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
    with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
        yield encrypted


def call(port: int, context: ssl.SSLContext, token: str = "", path: str = "/sync") -> tuple[int, str, str | None]:
    """Status, body and WWW-Authenticate of the answer to a sync."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=DEADLINE_S, context=context)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    with contextlib.closing(connection):
        connection.request("POST", path, REQUEST, headers)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers["WWW-Authenticate"]


def wait_for_reason(hook: RunningHook, begin: str) -> None:
    """Wait for a line of the log with this reason of a refusal."""

    def reasons() -> list[str]:
        return [line["reason"] for line in hook.process.logged("request refused")]

    wait_until(lambda: any(each.startswith(begin) for each in reasons()), begin, reasons)


def serial(connection: ssl.SSLSocket) -> object:
    certificate = connection.getpeercert()
    assert certificate
    return certificate["serialNumber"]


def test_caller_with_certificate_and_token_is_answered(hook: RunningHook, tmp_path: Path) -> None:
    status, answer, _ = call(port_of(hook), client_context(tmp_path), TOKEN)
    assert status == 200
    assert json.loads(answer)["children"]


@pytest.mark.parametrize("path", ["/sync", "/customize", "/openapi.json", "/nowhere"])
def test_caller_without_a_valid_token_is_401_on_each_path(hook: RunningHook, tmp_path: Path, path: str) -> None:
    context = client_context(tmp_path)
    for token in ("", NEXT):
        status, answer, challenge = call(port_of(hook), context, token, path)
        assert (status, list(json.loads(answer))) == (401, ["error"])
        assert challenge
        assert challenge.startswith('Bearer realm="sources-hook"')
        assert TOKEN not in answer + challenge


def test_caller_without_a_client_certificate_is_403(hook: RunningHook) -> None:
    status, answer, _ = call(port_of(hook), anyone(), TOKEN)
    reason = "a client certificate is needed; use one that a CA in CLIENT_CA_FILE has signed"
    assert (status, json.loads(answer)) == (403, {"error": reason})


def test_caller_with_a_certificate_of_another_ca_fails_the_handshake(hook: RunningHook, tmp_path: Path) -> None:
    with pytest.raises((ConnectionError, ssl.SSLError)):
        call(port_of(hook), client_context(tmp_path, OTHERS), TOKEN)
    wait_for_reason(hook, "the TLS handshake failed: certificate verify failed: ")


def test_plain_http_is_refused(hook: RunningHook) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        hook.call("/sync", REQUEST)
    wait_for_reason(hook, "the TLS handshake failed: http request")


def test_health_port_needs_no_credentials(hook: RunningHook) -> None:
    assert hook.healthz() == {"status": "ok", "problems": []}


def test_log_of_refused_callers_shows_no_credential(hook: RunningHook) -> None:
    assert call(port_of(hook), anyone(), NEXT)[0] == 403
    assert not {TOKEN, NEXT} & set("".join(hook.process.errors).replace('"', " ").split())


@pytest.mark.parametrize("length", [9, 4_000_000])
def test_stranger_is_refused_before_the_body_is_read(hook: RunningHook, tmp_path: Path, length: int) -> None:
    with connected(port_of(hook), client_context(tmp_path)) as stranger:
        stranger.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
        assert stranger.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_token_alone_works_over_plain_http(tmp_path: Path) -> None:
    mount(tmp_path, {"tokens": TOKEN.encode()})
    with running_hook(AUTH_TOKEN_FILE=str(tmp_path / "tokens")) as hook:
        assert hook.call("/sync", REQUEST)[0] == 401
        connection = http.client.HTTPConnection("127.0.0.1", port_of(hook), timeout=DEADLINE_S)
        connection.request("POST", "/sync", REQUEST, {"Authorization": f"Bearer {TOKEN}"})
        assert connection.getresponse().status == 200
        connection.close()


def test_swapped_files_apply_to_the_next_connection_and_open_ones_go_on(tmp_path: Path) -> None:
    mounted, caller = tmp_path / "mounted", tmp_path / "caller"
    caller.mkdir()
    with running_hook(**environ(mounted, mutual=True, token=True)) as hook:
        port, context = port_of(hook), client_context(caller)
        kept = http.client.HTTPSConnection("127.0.0.1", port, timeout=DEADLINE_S, context=context)
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        kept.request("POST", "/sync", REQUEST, bearer)
        assert kept.getresponse().read()
        with connected(port, context) as before:
            mount(mounted, pair() | {"ca.crt": CLIENTS.cert_pem.bytes(), "tokens": f"{TOKEN}\n{NEXT}".encode()})
            with connected(port, context) as after:
                assert serial(before) != serial(after)
        assert [call(port, context, token)[0] for token in (TOKEN, NEXT)] == [200, 200]
        mount(mounted, pair() | {"ca.crt": OTHERS.cert_pem.bytes(), "tokens": NEXT.encode()})
        with pytest.raises((ConnectionError, ssl.SSLError)):
            call(port, context, NEXT)
        assert call(port, client_context(caller, OTHERS), NEXT)[0] == 200
        kept.request("POST", "/sync", REQUEST, bearer)
        assert kept.getresponse().status == 401


def test_invalid_files_keep_the_last_valid_ones_and_are_reported(tmp_path: Path) -> None:
    settings = environ(tmp_path, token=True)
    with running_hook(**settings) as hook:
        port, context = port_of(hook), anyone()
        for _ in range(2):
            mount(tmp_path, pair() | {"tls.key": pair()["tls.key"], "tokens": b"short"})
            assert call(port, context, TOKEN)[0] == 200
        problems = hook.healthz()["problems"]
        assert [each.partition(":")[0] for each in problems] == ["AUTH_TOKEN_FILE", "TLS_DIR"]
        lines = hook.process.logged("a file is invalid; its last valid content stays in use")
        assert {(line["level"], line["setting"]) for line in lines} == {
            ("warn", "TLS_DIR"),
            ("warn", "AUTH_TOKEN_FILE"),
        }
        assert len(lines) == 2
        mount(tmp_path, pair() | {"tokens": NEXT.encode()})
        assert call(port, context, NEXT)[0] == 200
        assert hook.healthz()["problems"] == []


def test_unusable_file_at_the_start_is_exit_code_2(tmp_path: Path) -> None:
    process = Process("hooks", ADAPTER_IMAGE="a:1", TLS_DIR=str(tmp_path))
    try:
        assert process.ended() == 2
        problem = "tls.crt cannot be read: No such file or directory; write this file"
        assert process.errors == [f'TLS_DIR is "{tmp_path}": {problem}\n']
    finally:
        process.close()


def test_half_handshakes_block_nobody_and_take_little_memory(tmp_path: Path) -> None:
    """Silent connections, and handshakes that stop after their first bytes; then connections that send half a body."""
    port, health = free_port(), free_port()
    own = {"ADAPTER_IMAGE": "a:1", "HOST": "127.0.0.1", "PORT": str(port), "HEALTH_PORT": str(health)}
    with memory_limit(192) as group:
        process = group.start("hooks", **own, **environ(tmp_path, token=True))
        wait_until(lambda: listens(port), "the hook", lambda: process.errors)
        strangers = [socket.create_connection(("127.0.0.1", port), DEADLINE_S) for _ in range(300)]
        for stranger in strangers[::2]:
            stranger.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert call(port, anyone(), TOKEN)[0] == 200
        body = HEAD + f"Authorization: Bearer {TOKEN}\r\nContent-Length: 4000000\r\n\r\n".encode() + b"a" * 3_000_000
        context = anyone()
        for _ in range(CONNECTIONS + 6):
            plain = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
            strangers.append(context.wrap_socket(plain, server_hostname="127.0.0.1"))
            with contextlib.suppress(OSError):  # too many requests in flight
                strangers[-1].sendall(body)
        assert call(port, anyone(), TOKEN)[0] == 200
        assert process.stop()[0] == 0
        assert group.killed() == 0
        assert group.peak_mib() <= 0.8 * 192
        assert not process.logged("graceful shutdown exceeded")
        for stranger in strangers:
            stranger.close()


def test_hook_stops_in_order_while_tls_connections_are_open(tmp_path: Path) -> None:
    with contextlib.ExitStack() as connections:
        with running_hook(**environ(tmp_path)) as hook:
            port, process, context = port_of(hook), hook.process, anyone()
            silent, half = (connections.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(2))
            idle, writing = (connections.enter_context(connected(port, context)) for _ in range(2))
            half.sendall(b"\x16\x03\x01\x02\x00\x01")
            idle.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n")
            assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
            writing.sendall(HEAD + b"Content-Length: 9\r\n\r\n{")
            assert call(port, context)[0] == 200
        assert silent.recv(1) == b""
        assert not process.logged("graceful shutdown exceeded")


def test_caller_that_ends_tls_together_with_its_request_causes_no_warning(tmp_path: Path) -> None:
    """asyncio warns if a protocol wants to keep such a connection open for its response."""
    with running_hook(**environ(tmp_path)) as hook:
        port, context = port_of(hook), anyone()
        with connected(port, context) as caller:
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # both arrive at once
            caller.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(REQUEST) + REQUEST)
            with contextlib.suppress(OSError):
                caller.unwrap()
        assert call(port, context)[0] == 200
        assert [json.loads(line)["msg"] for line in hook.process.errors] == ["listening"]
