"""Running adapters with OAuth 2.0 and client certificates, for sinks and polls: nothing is lost, no secret is shown."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.mounts import client_pair, mount, server_context
from tests.process.harness import Adapter, ScriptedSink, Start, processes, wait_until
from tests.process.polls import poller, polls
from tests.process.token_server import TokenServer
from tests.process.upstream import Answer, Upstream, items

LONG = bool(os.environ.get("LONG"))
SECRET = "C4nary client+secret/1"
KINDS = {"SOURCES_PACKAGE": "tests.kinds", "PYTHONPATH": str(Path(__file__).parents[2]), "SOURCE_KIND": "BurstSource"}
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
POLICY = json.dumps({"backoffPolicy": "linear", "backoffDelay": "PT0.05S", "retry": 1000})


@pytest.fixture
def start() -> Iterator[Start]:
    with processes() as start_process:
        yield start_process


class Sink:
    """Accepts events that have a valid token. ``pause_s``: how long it takes for each."""

    def __init__(self, tokens: TokenServer | None = None, pause_s: float = 0.01, context: Any = None) -> None:
        self.accepted: list[str] = []
        self.refused = 0
        self._tokens, self._pause_s = tokens, pause_s
        self.server = ScriptedSink(self._answer, context)

    def _answer(self, connection: socket.socket, n: int) -> None:
        headers, _ = self.server.requests[n]
        threading.Event().wait(self._pause_s)
        if self._tokens and not self._tokens.accepts(headers.get("authorization")):
            self.refused += 1
            connection.sendall(UNAUTHORIZED)
        else:
            self.accepted.append(headers["ce-id"])
            connection.sendall(ACCEPTED)

    def wait_for(self, count: int, source: Adapter) -> None:
        wait_until(lambda: len(self.accepted) >= count, f"{count} events", lambda: source.process.errors[-3:])

    def wait_for_all(self, count: int, source: Adapter) -> None:
        """All events arrived once and in order, except for those whose answer was lost: these may arrive twice."""
        self.wait_for(count, source)
        source.wait_for(events("delivered"), count)
        assert self.accepted == [str(n) for n in range(count)]
        assert source.metric(events("lost")) == 0


def events(outcome: str) -> str:
    return f'source_events_total{{kind="BurstSource",name="source",namespace="default",outcome="{outcome}"}}'


def burst(start: Start, sink: Sink, count: int, auth: dict[str, Any], **environ: str) -> Adapter:
    return Adapter(
        start,
        sink.server.url,
        INTERVAL="",
        SOURCE_CONFIG=json.dumps({"count": count}),
        SOURCE_DELIVERY=POLICY,
        SINK_AUTH=json.dumps(auth),
        **(KINDS | environ),
    )


def oauth2(tokens: TokenServer) -> dict[str, Any]:
    reference = {"$env": "SOURCE_SECRET_0"}
    return {
        "oauth2": {"tokenUrl": tokens.url, "clientId": "orders", "clientSecret": reference, "scopes": ["events.write"]}
    }


def token_server(lifetime_s: float) -> TokenServer:
    return TokenServer("orders", SECRET, {"events.write", "events.read"}, lifetime_s)


def assert_secret_free(source: Adapter, *secrets: str) -> None:
    """Call it while ``source`` is running. Its output includes stderr, where the log is."""
    pages = [source.get(path)[1] for path in ("/readiness", "/metrics", "/health")]
    source.process.stop()
    source.assert_log_is_json()
    shown = "\n".join([*pages, *source.process.errors, *source.process.lines.queue])
    assert [secret for secret in secrets if secret in shown] == []


def test_tokens_that_expire_or_are_revoked_lose_no_event(start: Start) -> None:
    with token_server(lifetime_s=1) as tokens:
        sink = Sink(tokens)
        with sink.server:
            source = burst(start, sink, 400, oauth2(tokens), SOURCE_SECRET_0=SECRET)
            sink.wait_for(50, source)
            tokens.revoke()
            sink.wait_for_all(400, source)
            assert len(tokens.issued) >= 4  # 400 events take 4 s or longer
            assert sink.refused >= 1  # the event that was sent when the token was revoked
            assert tokens.most_at_once == 1
            assert tokens.refused == []
            assert_secret_free(source, SECRET, *tokens.issued)


def test_token_server_that_is_down_is_named_and_loses_no_event(start: Start) -> None:
    outage_s, count = 35 if LONG else 3, 300
    with token_server(lifetime_s=1) as tokens:
        sink = Sink(tokens)
        with sink.server:
            source = burst(start, sink, count, oauth2(tokens), SOURCE_SECRET_0=SECRET)
            sink.wait_for(50, source)
            tokens.stop()
            try:
                source.wait_for_attempts("token", 3)
                threading.Event().wait(outage_s)  # the outage itself
                line = source.process.logged("delivery attempt failed")[-1]
                readiness = source.get("/readiness")
            finally:
                tokens.start()
            assert line["code"] == "token"
            server = f"token server {tokens.url.split('/')[2]}"
            expected = f"{server}: no connection: connection refused"
            first = f"{server}: no response: connection reset by peer"  # a request that was on its way
            assert line["reason"] in (first, expected)
            assert readiness[0] == (503 if LONG else 200)
            assert (expected in readiness[1]) is LONG
            sink.wait_for_all(count, source)
            assert_secret_free(source, SECRET, *tokens.issued)


def test_wrong_client_secret_is_a_reason_without_the_secret(start: Start) -> None:
    wrong = "C4nary-wrong-one"
    with token_server(lifetime_s=60) as tokens:
        sink = Sink(tokens)
        with sink.server:
            source = burst(start, sink, 1, oauth2(tokens), SOURCE_SECRET_0=wrong)
            source.wait_for_attempts("token", 2)
            line = source.process.wait_for_log("delivery attempt failed")
            assert line["reason"].endswith("answered 401: invalid_client: (secret) is not the secret of orders")
            assert sink.server.requests == []
            assert_secret_free(source, wrong, SECRET)


class Rotating:
    """An SSL context whose server can be replaced."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context

    def wrap_socket(self, connection: socket.socket, server_side: bool) -> ssl.SSLSocket:
        return self.context.wrap_socket(connection, server_side=server_side)


def test_rotated_client_certificate_loses_no_event(start: Start, tmp_path: Path) -> None:
    servers, old, new = trustme.CA(), trustme.CA(), trustme.CA()
    authority = {"ca.crt": servers.cert_pem.bytes()}
    files = client_pair(old)
    mount(tmp_path / "gateway", {**files, **authority})
    context = Rotating(server_context(servers, old, "localhost"))
    sink = Sink(context=context)
    with sink.server:
        auth = {"tls": {"secretName": "gateway"}}
        source = burst(start, sink, 300, auth, TLS_SECRETS=str(tmp_path))
        sink.wait_for(50, source)
        context.context = server_context(servers, new, "localhost")  # the sink accepts the old CA no more
        source.wait_for_attempts("transport", 3)
        accepted = len(sink.accepted)
        mount(tmp_path / "gateway", {"tls.crt": files["tls.crt"], **authority})  # without a key
        source.wait_for_attempts("tls", 3)
        assert len(sink.accepted) == accepted
        renewed = client_pair(new)
        mount(tmp_path / "gateway", {**renewed, **authority})
        sink.wait_for_all(300, source)
        keys = [line for key in (files, renewed) for line in key["tls.key"].decode().splitlines()[1:-1]]
        assert_secret_free(source, *keys)


def test_poll_with_oauth2_goes_on_when_tokens_expire_and_are_revoked(start: Start) -> None:
    sink = Sink()
    with token_server(lifetime_s=1) as tokens, sink.server:

        def answer(headers: dict[str, str], n: int) -> Answer:
            known = tokens.accepts(headers.get("authorization"))
            return Answer(items(*range(len(upstream.asked)))) if known else Answer(status=401)

        with Upstream(answer) as upstream:
            environ = {"SOURCE_SECRET_0": SECRET}
            source = poller(start, sink.server.url, upstream, auth=oauth2(tokens), **environ)
            upstream.wait_for(5)
            tokens.revoke()
            wait_until(lambda: len(tokens.issued) >= 4, "four tokens", lambda: source.process.errors)
            assert polls(source, "failed") == 0
            assert tokens.most_at_once == 1
            assert len(sink.accepted) == len(set(sink.accepted)) > 0
            assert_secret_free(source, SECRET, *tokens.issued)


def test_poll_with_a_client_certificate_uses_the_rotated_one(start: Start, tmp_path: Path) -> None:
    servers, clients = trustme.CA(), trustme.CA()
    files = {**client_pair(clients), "ca.crt": servers.cert_pem.bytes()}
    mount(tmp_path / "shop", {**files, **client_pair(trustme.CA())})
    context = server_context(servers, clients, "localhost")
    sink = Sink()
    with sink.server, Upstream(lambda headers, n: Answer(items("a")), context) as upstream:
        auth = {"tls": {"secretName": "shop"}}
        source = poller(start, sink.server.url, upstream, auth=auth, TLS_SECRETS=str(tmp_path))
        wait_until(lambda: polls(source, "failed") >= 1, "a refused poll", lambda: source.process.errors)
        assert upstream.asked == []
        mount(tmp_path / "shop", files)
        sink.wait_for(1, source)
        assert_secret_free(source, *files["tls.key"].decode().splitlines()[1:-1])
