"""No text for people contains a secret. The tests read which variables and fields have secrets from their declarations.

A new variable without ``has_secrets`` must be added to ``PUBLIC``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar, get_args

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from adapter.contract.auth.texts import SecretText
from adapter.contract.declarations import EnvError, variables_of
from adapter.contract.environment import AdapterEnv
from adapter.contract.secret_refs import SECRET_VARIABLE
from adapter.delivery.channel import Channel, Destination
from adapter.loading import make_source
from adapter.model.source import Source
from adapter.serving.logs import LogThrottle
from adapter.testing.clock import VirtualClock
from hooks.app import create_app
from hooks.configmaps import MountedConfig
from hooks.serving.health import pages
from hooks.serving.metrics import HookMetrics
from hooks.settings import Settings
from sources_cli.kind import kinds_in
from tests.logbook import Logbook
from tests.unit.hooks.hook import BROKER, BROKER_SINK, PEM, parent

T = TypeVar("T")
CANARY = "C4nary-88-PW"
TEXTS = {
    "text": CANARY,
    "line-break": f"{CANARY}\n{CANARY}",
    "user-info": f"http://u:{CANARY}@h/",
    "slash-in-password": f"http://u:a/{CANARY}@h/",
    "question-mark-in-password": f"http://u:a?{CANARY}@h/",
    "port-and-slash": f"http://u:80/{CANARY}@h/",
    "bad-port": f"http://u:{CANARY}@h:99999/",
    "no-scheme": f"u:{CANARY}@h",
    "other-scheme": f"ftp://u:{CANARY}@h",
    "query": f"http://h/?token={CANARY}",
    "query-and-bad-port": f"http://h:0/?token={CANARY}",
    "fragment": f"http://h/#{CANARY}",
    "space": f"http://u:{CANARY}@h/ b",
    "private-key": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n",
    "no-json": f'{{"a": "{CANARY}"',
    "json-list": f'["{CANARY}"]',
}
PUBLIC = {
    "CLUSTER_DOMAIN",
    "NO_PROXY",
    "ALLOWED_HOSTS",
    "DENIED_NETWORKS",
    "EVENT_SOURCE",
    "INTERVAL",
    "NAMESPACE",
    "NAME",
    "METRICS_DOMAIN",
    "K_LOGGING_CONFIG",
    "K_KLOG_VERBOSITY",
    "K_OBSERVABILITY_CONFIG",
    "SOURCE_KIND",
    "SOURCES_PACKAGE",
    "SOURCE_UID",
    "SOURCE_CREATED",
    "SOURCE_DELIVERY",
    "K_AUDIENCE",
    "K_CE_OVERRIDES",
    "DEAD_LETTER_AUDIENCE",
    "HEALTH_PORT",
    "PORT",
    "K_SINK_TIMEOUT",
    "TOKEN_DIRECTORY",
    "TRUST_BUNDLES",
    "TLS_SECRETS",
}
SECRET = [variable.name for _, variable, _ in variables_of(AdapterEnv) if variable.has_secrets]
SAMPLES: Mapping[str, dict[str, Any]] = {
    "PollSource": {"url": "http://h"},
    "WebhookSource": {"auth": {"type": "standardWebhooks"}},
}


def test_each_variable_has_secrets_or_is_listed_as_public() -> None:
    assert {variable.name for _, variable, _ in variables_of(AdapterEnv)} == PUBLIC | set(SECRET)
    assert PUBLIC.isdisjoint(SECRET)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", SECRET)
def test_error_about_a_variable_with_secrets_does_not_quote_it(name: str, text: str) -> None:
    environ = {"K_SINK": "http://h", "DEAD_LETTER_SINK": "http://h", "EVENT_SOURCE": "/s", name: text}
    shown, env = outcome_of(lambda: AdapterEnv.from_environ(environ))
    if env is not None:
        for destination in destinations(env):
            shown += destination.public_url + outcome_of(partial(Channel, destination, 1, VirtualClock()))[0]
    assert CANARY not in shown
    assert env is not None or shown.startswith(f"{name} is not valid: write ")


def destinations(env: AdapterEnv) -> list[Destination]:
    dead_letters = Destination(env.dead_letter_sink or "", env.dead_letter_ca_certs, variable="DEAD_LETTER_SINK")
    return [Destination(env.sink, env.ca_certs), dead_letters]


def outcome_of(make: Callable[[], T]) -> tuple[str, T | None]:
    """The text of the ``EnvError``, or the result."""
    try:
        return "", make()
    except EnvError as error:
        return str(error), None


@pytest.mark.parametrize("name", ["user-info", "query", "fragment"])
@pytest.mark.parametrize("variable", ["K_SINK", "DEAD_LETTER_SINK", "SOURCE_CONFIG"])
def test_secrets_of_urls_are_replaced_in_the_log(variable: str, name: str) -> None:
    text = json.dumps({"url": [TEXTS[name]]}) if variable == "SOURCE_CONFIG" else TEXTS[name]
    environ = {"K_SINK": "http://h", "EVENT_SOURCE": "/s", variable: text}
    assert CANARY in list(AdapterEnv.from_environ(environ).secret_texts())


def test_password_in_a_secret_url_of_any_scheme_is_a_secret_of_its_own() -> None:
    url = f"postgresql://u:{CANARY}@h/db"
    environ = {"K_SINK": "http://h", "EVENT_SOURCE": "/s", "SOURCE_SECRET_0": url}
    assert {url, CANARY} <= set(AdapterEnv.from_environ(environ).secret_texts())


def secret_paths(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """The path of each field that is a SecretText, or a map of them; the key of a map is ``X``."""
    for name, info in model.model_fields.items():
        for path in _paths(info.annotation):
            yield info.alias or name, *path


def _paths(annotation: Any) -> Iterator[tuple[str, ...]]:
    if isinstance(annotation, type) and issubclass(annotation, SecretText):
        yield ()
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from secret_paths(annotation)
    else:
        in_map = getattr(annotation, "__origin__", None) is dict
        for argument in get_args(annotation):
            yield from (("X", *path) if in_map else path for path in _paths(argument))


FIELDS = [(kind.source_class, path) for kind in kinds_in("adapter.sources") for path in secret_paths(kind.source_class)]


def test_fields_with_secrets_are_found() -> None:
    assert {(cls.__name__, ".".join(path)) for cls, path in FIELDS} >= {
        ("PollSource", "secretHeaders.X"),
        ("WebhookSource", "auth.secret"),
    }


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize(("cls", "path"), FIELDS, ids=[f"{cls.__name__}-{'.'.join(path)}" for cls, path in FIELDS])
def test_error_about_a_field_with_a_secret_does_not_quote_it(
    cls: type[Source], path: tuple[str, ...], text: str
) -> None:
    config: dict[str, Any] = json.loads(json.dumps(SAMPLES.get(cls.__name__, {})))
    target = config
    for name in path[:-1]:
        target = target.setdefault(name, {})
    target[path[-1]] = {"$env": SECRET_VARIABLE.format(0)}
    environ = {"K_SINK": "http://h", "EVENT_SOURCE": "/s", SECRET_VARIABLE.format(0): text}
    for more in ({}, {"interval": "never"}):
        env = AdapterEnv.from_environ(environ | {"SOURCE_CONFIG": json.dumps(config | more)})
        shown, source = outcome_of(partial(make_source, cls, env))
        assert CANARY not in f"{shown}{source!r}"
        assert text in list(env.secret_texts())


URLS = {name: text for name, text in TEXTS.items() if "h" in text.partition("@")[2] or "://" in text}


PLACES = ("sink", "dead-letter-sink", "relative", "address")


@pytest.mark.parametrize("running", [False, True], ids=["new", "running"])
@pytest.mark.parametrize(
    ("place", "text"),
    [
        *(pytest.param(place, text, id=f"{place}-{name}") for place in PLACES for name, text in URLS.items()),
        *(pytest.param(place, TEXTS["private-key"], id=f"{place}-key") for place in (*PLACES, "CACerts")),
    ],
)
def test_hook_shows_no_secret_in_status_response_and_log(place: str, running: bool, text: str) -> None:
    spec: dict[str, Any] = {"sink": {"uri": "http://h"}}
    related = {}
    if place == "sink":
        spec["sink"] = {"uri": text}
    elif place == "dead-letter-sink":
        spec["delivery"] = {"deadLetterSink": {"uri": text}}
    elif place == "CACerts":
        spec["sink"] = {"uri": "https://h", "CACerts": PEM + text}
    else:
        spec["sink"] = BROKER_SINK | ({"uri": text} if place == "relative" else {})
        url = "http://b" if place == "relative" else text
        related = {"Broker.eventing.knative.dev/v1": {"ns/b": {"status": {"address": {"url": url}}}}}
    book = Logbook()
    throttle = LogThrottle(book.log, VirtualClock().now)
    settings, mounted = Settings(adapter_image="a:1", sink_kinds=("v1/Service", BROKER)), MountedConfig(None)
    client = TestClient(create_app(settings, throttle, mounted))
    children = {"Deployment.apps/v1": {"ns/samplesource-hello": {"metadata": {}}} if running else {}}
    body = {"parent": parent(spec), "children": children, "related": related}
    response = client.post("/sync", json=body)
    throttle.flush()
    shown = response.json()
    assert response.status_code in (200, 422)
    shown.pop("children", None)  # the adapter needs the whole URL
    assert CANARY not in json.dumps(shown)
    assert CANARY not in book.text
    assert all(
        CANARY.encode() not in page().body for page in pages(mounted.problems.values, HookMetrics(tuple)).values()
    )
