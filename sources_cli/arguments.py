"""What the arguments of ``sources`` may be; each error shows the value and says what to write."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError

from adapter.contract.durations import parse_duration
from adapter.contract.formats import is_http_url
from hooks.settings import parse_sink_kinds


def sink_kinds(text: str) -> tuple[str, ...]:
    try:
        kinds = parse_sink_kinds(text, "the list")
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    if not kinds:
        raise ArgumentTypeError("names no kind; write some like v1/Service,eventing.knative.dev/v1/Broker")
    return kinds


def place(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9]*[a-z0-9])?", text, re.ASCII):
        raise ArgumentTypeError(f'"{text}" is not <namespace>/<name>')
    return text


def dotted(text: str) -> str:
    if not all(part.isidentifier() for part in text.split(".")):
        raise ArgumentTypeError(f'"{text}" is no dotted Python package; write one like kinds')
    return text


def image(text: str) -> str:
    if not text or any(char.isspace() for char in text):
        raise ArgumentTypeError(f'"{text}" is no image; write one like registry.local/sample-source:dev')
    return text


def seconds(text: str) -> float:
    try:
        seconds = parse_duration(text) / 1e9
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise ArgumentTypeError(f'"{text}" is not positive; write a duration like 30s')
    return seconds


def url(text: str) -> str:
    if not is_http_url(text):
        raise ArgumentTypeError(f'"{text}" is not an absolute http(s) URL; write one like http://127.0.0.1:8080')
    return text


def port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ArgumentTypeError(f'"{text}" is not a port; write a number from 1 to 65535')
    return int(text)
