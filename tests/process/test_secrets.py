"""Real processes with secrets in each place: no output shows one."""

from __future__ import annotations

import base64
import json
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.harness import DEADLINE_S, Adapter, ScriptedSink, Start, processes
from tests.process.polls import poller
from tests.process.sources import running, sources
from tests.process.upstream import Answer, Upstream
from tests.process.webhook import Webhook

CANARY = "C4nary"
DEBUG = json.dumps({"zap-logger-config": json.dumps({"level": "debug"})})


def canary(place: str) -> str:
    return f"{CANARY}-{place}-88"


@pytest.fixture
def start() -> Iterator[Start]:
    with processes() as start_process:
        yield start_process


def decoded(text: str) -> str:
    """The text, and everything in it that is in base64 or percent-encoded."""
    parts = re.findall(r"[A-Za-z0-9+/=]{16,}", text)
    plain = [base64.b64decode(part + "=" * (-len(part) % 4), validate=False) for part in parts if len(part) % 4 != 1]
    return "\n".join([text, urllib.parse.unquote(text), *(each.decode("latin-1") for each in plain)])


def assert_secret_free(**outputs: object) -> None:
    for name, output in outputs.items():
        assert CANARY not in decoded(str(output)), name


def get(port: int, path: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"K_SINK": f"http://u:a/{CANARY}@h/"}, id="slash-in-password"),
        pytest.param({"K_SINK": f"http://h:0/?token={CANARY}"}, id="query"),
        pytest.param({"DEAD_LETTER_SINK": f"http://u:{CANARY}@h:x/"}, id="dead-letter-sink"),
        pytest.param({"K_CA_CERTS": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----"}, id="key"),
        pytest.param({"DEAD_LETTER_CA_CERTS": CANARY, "DEAD_LETTER_SINK": "http://h"}, id="dead-letter-key"),
        pytest.param({"SOURCE_CONFIG": f'{{"secret": "{CANARY}"'}, id="config"),
    ],
)
def test_line_of_exit_code_2_does_not_quote_a_secret(start: Start, environ: dict[str, str]) -> None:
    process = start("adapter", **({"K_SINK": "http://h", "EVENT_SOURCE": "/s"} | environ))
    assert process.ended() == 2
    (line,) = process.errors
    assert " is not valid: write " in line
    assert_secret_free(line=line)


class EchoSink(ScriptedSink):
    """Refuses each event with 400 and sends the whole request back."""

    def __init__(self) -> None:
        super().__init__(self._echo)

    def _echo(self, connection: socket.socket, n: int) -> None:
        headers, body = self.requests[n]
        echo = "".join(f"{name}: {value} " for name, value in headers.items()).encode() + body
        connection.sendall(b"HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(echo) + echo)


def accept(connection: socket.socket, n: int) -> None:
    connection.sendall(b"HTTP/1.1 202 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("authorization", ["url", "token"])
def test_webhook_shows_no_secret_in_logs_pages_responses_and_dead_letters(
    start: Start, tmp_path: Path, authorization: str
) -> None:
    token, more = tmp_path / "token", {}
    if authorization == "token":
        token.write_text(canary("token"))
        (tmp_path / "dead-letter-token").write_text(canary("dead-letter-token"))
        more = {"K_AUDIENCE": "me", "DEAD_LETTER_AUDIENCE": "me", "TOKEN_DIRECTORY": str(tmp_path)}
    user = f"u:{canary('password')}@" if authorization == "url" else ""
    with EchoSink() as sink, ScriptedSink(accept) as dead:
        hook = Webhook(
            start,
            f"http://{user}127.0.0.1:{sink.port}/in?token={canary('query')}",
            canary("caller"),
            auth={"type": "bearer", "secret": {"$env": "SOURCE_SECRET_0"}},
            delivery={"retry": 0},
            DEAD_LETTER_SINK=f"http://{user}127.0.0.1:{dead.port}/dead?token={canary('dead-query')}",
            K_LOGGING_CONFIG=DEBUG,
            **more,
        )
        bearer = f"Bearer {canary('caller')}"
        responses = [hook.post(Authorization=bearer)]
        token.write_text(f"{canary('token')}\n{canary('token')}")  # a second line is not part of a token
        responses += [hook.post(Authorization=bearer), hook.post(Authorization="Bearer wrong"), hook.post(path="/x")]
        assert [response.status_code for response in responses] == [202, 202, 401, 404]
        pages = [get(hook.health_port, path) for path in ("/readiness", "/metrics", "/health", "/nowhere")]
        assert hook.process.stop()[0] == 0
    assert (len(sink.requests), len(dead.requests)) == ((1, 2) if authorization == "token" else (2, 2))
    assert canary("token" if authorization == "token" else "password") in decoded(str(sink.requests))  # the real one
    letters = [({**headers, "authorization": ""}, body) for headers, body in dead.requests]
    assert letters[0][0]["ce-knativeerrordest"].endswith("/in")
    assert "(secret)" in base64.b64decode(letters[0][0]["ce-knativeerrordata"]).decode()
    assert_secret_free(
        log=hook.process.errors, pages=pages, responses=[response.text for response in responses], letters=letters
    )


@pytest.mark.parametrize("answer", [(500, None), (200, b"no json"), (302, None)], ids=["500", "no-json", "redirect"])
def test_poller_shows_no_secret_in_logs_and_pages(start: Start, answer: tuple[int, bytes | None]) -> None:
    def respond(headers: dict[str, str], n: int) -> Answer:
        status, body = answer
        echo = "".join(f"{name}: {value} " for name, value in headers.items()).encode()
        location = {"Location": f"http://u:{canary('there')}@h:0/?t={canary('there')}"}
        return Answer(body or echo, status, location if status == 302 else {})

    with Upstream(respond) as upstream, ScriptedSink(accept) as sink:
        host = upstream.url.removeprefix("http://")
        source = poller(
            start,
            sink.url,
            f"http://{host}?token={canary('query')}",
            secretHeaders={"X-Key": {"$env": "SOURCE_SECRET_0"}},
            SOURCE_SECRET_0=canary("header"),
            K_LOGGING_CONFIG=DEBUG,
        )
        failed = source.process.wait_for_log("poll failed")
        upstream.wait_for(4)
        pages = [get(source.port, path) for path in ("/readiness", "/metrics")]
        assert source.process.stop()[0] == 0
    assert failed["reason"]
    assert_secret_free(log=source.process.errors, pages=pages)


OWN_KIND = '''
import threading, warnings
from adapter.sdk import Event, SecretText, Timer


class BrokenSource(Timer):
    """A kind whose code fails where nobody catches it."""

    token: SecretText

    def tick(self, n: int) -> Event:
        token = self.token.get_secret_value()
        warnings.warn(f"two\\nlines and {token}")
        thread = threading.Thread(target=lambda: int(token))
        thread.start()
        thread.join()

        class Ignored:
            def __del__(self) -> None:
                raise ValueError(token)

        Ignored()
        return Event(type="t", data=n)
'''


def test_messages_of_the_interpreter_are_json_lines_without_secrets(start: Start, tmp_path: Path) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds/broken_source.py").write_text(OWN_KIND)
    config = json.dumps({"token": {"$env": "SOURCE_SECRET_0"}})
    with ScriptedSink(accept) as sink:
        source = Adapter(
            start,
            sink.url,
            SOURCE_KIND="BrokenSource",
            SOURCES_PACKAGE="kinds",
            PYTHONPATH=str(tmp_path),
            SOURCE_CONFIG=config,
            SOURCE_SECRET_0=canary("token"),
        )
        sink.wait_for(2)
        assert source.process.stop()[0] == 0
    lines = [json.loads(line) for line in source.process.errors]
    errors = {(line["msg"], line.get("error")) for line in lines if line["level"] == "error"}
    assert errors == {("a thread failed", "ValueError"), ("an exception was ignored", "ValueError")}
    assert any("two\nlines and (secret)" in line["msg"] for line in lines)
    assert_secret_free(log=source.process.errors)


SOURCE = """\
apiVersion: samples.knative.dev/v1alpha1
kind: SampleSource
metadata: {{name: hello, namespace: default}}
spec:
  interval: 1s
  sink: {{uri: "{url}"}}
"""


def test_sources_commands_show_no_secret_of_a_sink_url(tmp_path: Path) -> None:
    broken, valid = tmp_path / "broken.yaml", tmp_path / "valid.yaml"
    broken.write_text(SOURCE.format(url=f"http://u:a/{canary('sink')}@h/"))
    with ScriptedSink(accept) as sink:
        url = f"http://127.0.0.1:{sink.port}/?token={canary('query')}"
        valid.write_text(SOURCE.format(url=url))
        for file in (broken, valid):
            lint, render = sources("lint", file), sources("render", file, "-o", "json")
            status = json.loads(render.stdout).get("status") if render.stdout else ""
            assert_secret_free(lint=lint.stdout + lint.stderr, status=status, render=render.stderr)
        with running(valid) as process:
            sink.wait_for(1)
            process.terminate()
            output, errors = process.communicate(timeout=DEADLINE_S)
    assert "hello" in output
    assert_secret_free(run=output + errors)
