"""The display sink: which requests are CloudEvents, what it prints, and the effect of its options."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from adapter.cloudevents.decode import parse_event
from adapter.display.options import parse_arguments
from adapter.display.sink import Display
from adapter.display.text import dead_letter_note
from adapter.serving.connection import Reset
from adapter.serving.messages import Request, Response

BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a/b", "ce-type": "t"}
STRUCTURED = {"specversion": "1.0", "id": "1", "source": "/a/b", "type": "t"}
ABSENT: Any = object()


def binary(body: bytes = b"", **headers: Any) -> Request:
    named = BINARY | {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", "/", {name: value for name, value in named.items() if value is not ABSENT}, body)


def structured(content_type: str = "application/cloudevents+json", **members: Any) -> Request:
    event = {name: value for name, value in (STRUCTURED | members).items() if value is not ABSENT}
    return Request("POST", "/", {"content-type": content_type}, json.dumps(event).encode())


def display(*arguments: str) -> Display:
    return Display(parse_arguments(["--format", "jsonl", *arguments]))


def answer(request: Request, sink: Display | None = None) -> Response:
    response = asyncio.run((sink or display()).answer(request))
    assert isinstance(response, Response)
    return response


def test_binary_event_is_read_from_headers_and_body() -> None:
    request = binary(
        b'{"n":1}',
        content_type="application/json; charset=utf-8",
        ce_time="2026-01-02T03:04:05.000Z",
        ce_subject="gr%C3%BCn%20%25",
        ce_team="x",
        other="y",
    )
    assert parse_event(request) == STRUCTURED | {
        "time": "2026-01-02T03:04:05.000Z",
        "subject": "grün %",
        "datacontenttype": "application/json; charset=utf-8",
        "data": {"n": 1},
        "extensions": {"team": "x"},
    }


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param("a%20b", "a b", id="percent-encoded"),
        pytest.param('"a b"', "a b", id="quoted"),
        pytest.param(r'"a \"b\" \\"', r'a "b" \ '.strip(), id="quoted-with-escapes"),
        pytest.param("ü".encode().decode("latin-1"), "ü", id="raw-utf-8"),
    ],
)
def test_header_value_is_decoded_by_the_rules_of_the_http_binding(header: str, value: str) -> None:
    assert parse_event(binary(ce_team=header))["extensions"] == {"team": value}


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        pytest.param("application/json", b"[1]", [1], id="json"),
        pytest.param("Application/JSON", b"[1]", [1], id="case"),
        pytest.param("application/vnd.x+json", b"[1]", [1], id="plus-json"),
        pytest.param("application/json", b"", None, id="json-without-data"),
        pytest.param("text/plain", b"[1]", "[1]", id="text"),
        pytest.param("application/octet-stream", b"\xff", "\\xff", id="octets"),
        pytest.param(ABSENT, b"x", "x", id="no-content-type"),
    ],
)
def test_data_is_parsed_by_its_content_type(content_type: Any, body: bytes, data: Any) -> None:
    assert parse_event(binary(body, content_type=content_type))["data"] == data


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param("application/cloudevents+json", id="plain"),
        pytest.param("application/cloudevents+json; charset=utf-8", id="charset"),
        pytest.param("Application/CloudEvents+JSON", id="case"),
    ],
)
def test_structured_event_is_one_json_object(content_type: str) -> None:
    event = parse_event(structured(content_type, data={"n": 1}, team="x", count=5, on=True, subject=None))
    assert event == STRUCTURED | {"data": {"n": 1}, "extensions": {"team": "x", "count": 5, "on": True}}


def test_structured_base64_data_is_shown_decoded() -> None:
    encoded = base64.b64encode("grün".encode()).decode()
    assert parse_event(structured(data_base64=encoded))["data"] == "grün"


BAD = {
    "no-id": (binary(ce_id=ABSENT), "required attributes are missing: id"),
    "nothing": (Request("POST", "/", {}, b""), "required attributes are missing: specversion, id, source, type"),
    "empty-id": (binary(ce_id=""), 'id is ""; write a string that is not empty'),
    "empty-subject": (binary(ce_subject=""), 'subject is ""; write a string that is not empty'),
    "specversion": (binary(ce_specversion="0.3"), 'specversion is "0.3"; write 1.0'),
    "time": (binary(ce_time="yesterday"), 'time is "yesterday": write an RFC 3339 time like 2026-01-31T12:00:00Z'),
    "time-iso-only": (binary(ce_time="20260102T030405Z"), 'time is "20260102T030405Z": write an RFC 3339 time'),
    "time-without-zone": (binary(ce_time="2026-01-02T03:04:05"), "write an RFC 3339 time"),
    "time-before-year-1": (binary(ce_time="0001-01-01T00:00:00+14:00"), "write an RFC 3339 time"),
    "header-no-utf-8": (binary(ce_team="%FF"), "header ce-team is not percent-encoded UTF-8"),
    "extension-name": (binary(**{"ce-my-team": "x"}), 'extension name "my-team" is not valid; write lower-case'),
    "header-datacontenttype": (binary(ce_datacontenttype="text/plain"), "header ce-datacontenttype is not allowed"),
    "header-data": (binary(ce_data="x"), "header ce-data is not allowed; send the data as the body"),
    "json": (binary(b"{", content_type="application/json"), "the body is not JSON, but its content type says JSON"),
    "json-depth": (binary(b"[" * 100_000, content_type="application/json"), "the body is not JSON"),
    "batch": (
        Request("POST", "/", {"content-type": "application/cloudevents-batch+json"}, b"[]"),
        "content type application/cloudevents-batch+json is not supported; send application/cloudevents+json",
    ),
    "structured-json": (
        Request("POST", "/", {"content-type": "application/cloudevents+json"}, b"{"),
        "the body is not JSON",
    ),
    "structured-list": (
        Request("POST", "/", {"content-type": "application/cloudevents+json"}, b"[]"),
        "a structured event must be a JSON object",
    ),
    "structured-no-type": (structured(type=ABSENT), "required attributes are missing: type"),
    "structured-null-type": (structured(type=None), "required attributes are missing: type"),
    "structured-id-number": (structured(id=5), "id is 5; write a string that is not empty"),
    "structured-time-number": (structured(time=5), "time is 5: write an RFC 3339 time"),
    "structured-extension-object": (
        structured(team={"a": 1}),
        'extension "team" is an object with the key a; write a string, an integer',
    ),
    "structured-id-list": (structured(id=["secret"]), "id is a list with 1 item; write a string"),
    "structured-extension-float": (structured(team=1.5), 'extension "team" is 1.5; write a string, an integer'),
    "structured-extension-name": (structured(Team="x"), 'extension name "Team" is not valid'),
    "structured-both-data": (
        structured(data=1, data_base64="YQ=="),
        "the event has data and data_base64; send one of them",
    ),
    "structured-base64": (structured(data_base64="*"), "data_base64 is not base64"),
    "structured-base64-number": (structured(data_base64=5), "data_base64 is not base64"),
}


@pytest.mark.parametrize(("request_", "sentence"), BAD.values(), ids=BAD)
def test_request_that_is_not_a_cloudevent_gets_400_with_the_reason(
    request_: Request, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = answer(request_)
    assert refused.status == 400
    assert sentence in refused.body.decode()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert sentence in shown.err


def test_control_characters_of_an_event_are_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Display(parse_arguments(["--format", "text"]))
    assert answer(structured(data="\x1b[2J\ud800"), sink).status == 202
    assert answer(structured(type="a\x1b]0;\x07b"), sink).status == 202
    assert answer(structured(specversion="\x1b[2J"), sink).status == 400
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "a�]0;�b" in shown.out


def test_text_shows_source_type_data_and_every_answer_except_202(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Display(parse_arguments(["--statuses", "202,503"]))
    for _ in range(2):
        answer(structured(data={"n": "ü"}), sink)
    first, second = (line[10:] for line in capsys.readouterr().out.splitlines())
    assert first == 'b  t  {"n": "ü"}'
    assert second == 'b  t  {"n": "ü"}  -> 503'


@pytest.mark.parametrize(
    ("code", "body", "shown"),
    [
        ("400", b"no such thing", " answered 400"),
        ("500", b"", " answered 500"),
        ("500", b"a dispatch error: x", " answered 500"),
        ("500", b"dispatch error: ConnectError: All connection attempts failed", ": ConnectError: All connection"),
        ("500", b"dispatch error: " + b"x" * 1024, ": xxx"),
    ],
)
def test_dead_letter_shows_the_answer_of_the_sink_or_why_there_was_none(code: str, body: bytes, shown: str) -> None:
    data = base64.b64encode(body).decode()[:1024]
    extensions = {"knativeerrordest": "http://sink", "knativeerrorcode": code, "knativeerrordata": data}
    assert dead_letter_note({"extensions": extensions}).startswith(f"  dead letter: http://sink{shown}")


def test_dead_letter_with_unreadable_data_shows_its_code() -> None:
    extensions = {"knativeerrordest": "http://sink", "knativeerrorcode": "500", "knativeerrordata": "a"}
    assert dead_letter_note({"extensions": extensions}) == "  dead letter: http://sink answered 500"


def test_statuses_are_used_in_order_then_202(capsys: pytest.CaptureFixture[str]) -> None:
    sink = display("--statuses", "500,503", "--retry-after", "7")
    given = [answer(binary(), sink) for _ in range(4)]
    assert [response.status for response in given] == [500, 503, 202, 202]
    assert [response.headers.get("Retry-After") for response in given] == ["7", "7", None, None]
    assert [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()] == [500, 503, 202, 202]


def test_invalid_request_does_not_consume_a_status() -> None:
    sink = display("--statuses", "500")
    assert [answer(binary(ce_id=""), sink).status, answer(binary(), sink).status] == [400, 500]


def test_redirect_has_a_location() -> None:
    assert answer(binary(), display("--statuses", "302")).headers["Location"] == "/elsewhere"


def test_reset_closes_the_connection_after_the_event_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Reset):
        answer(binary(), display("--reset"))
    assert json.loads(capsys.readouterr().out)["status"] is None


def test_hang_never_answers() -> None:
    async def run() -> None:
        await asyncio.wait_for(display("--hang").answer(binary()), 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/healthz", 200, id="healthz"),
        pytest.param("HEAD", "/healthz", 200, id="head"),
        pytest.param("GET", "/x", 404, id="elsewhere"),
        pytest.param("PUT", "/", 405, id="put"),
    ],
)
def test_status_of_requests_other_than_post(method: str, path: str, status: int) -> None:
    assert answer(Request(method, path, {}, b"")).status == status


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(
            ["--statuses", "20"], '"20" is not a list of status codes; write codes from 200 to 999', id="statuses"
        ),
        pytest.param(["--statuses", "500,x"], '"500,x" is not a list of status codes', id="status"),
        pytest.param(["--delay", "2"], 'missing unit in duration "2"; write a duration like 250ms or 2s', id="delay"),
        pytest.param(["--port", "x"], "invalid int value: 'x'", id="port"),
    ],
)
def test_wrong_argument_prints_what_to_write_and_exits_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_dead_letter_may_have_an_integer_as_its_data() -> None:
    assert answer(structured(knativeerrordest="http://sink", knativeerrordata=5)).status == 202
