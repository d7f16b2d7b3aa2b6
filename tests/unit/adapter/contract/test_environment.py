"""The variables of an adapter: their errors, what the hook omits, and the reference for the documentation."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.contract.declarations import EnvError
from adapter.contract.environment import AdapterEnv, reference


class RecordingEnviron(dict[str, str]):
    """Remembers the variables that were read."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.names: list[str] = []

    def get(self, name: str, default: Any = None) -> Any:
        self.names.append(name)
        return super().get(name, default)


def test_reference_lists_each_variable_that_is_read_in_order() -> None:
    environ = RecordingEnviron({"K_SINK": "http://h", "EVENT_SOURCE": "/a/b"})
    AdapterEnv.from_environ(environ)
    names = list(dict.fromkeys(name.upper() for name in environ.names))  # proxies are also read in lower case
    assert [row.name for row in reference() if row.name not in ("SOURCE_SECRET_<n>", "OTEL_<name>")] == names


def test_reference_row_has_default_writer_and_description() -> None:
    rows = {row.name: row for row in reference()}
    assert rows["K_SINK"].default == "required"
    assert (rows["PORT"].default, rows["HEALTH_PORT"].default) == ("`8888`", "`8080`")
    assert (rows["PORT"].set_by, rows["INTERVAL"].set_by, rows["SOURCE_SECRET_<n>"].set_by) == (
        "image",
        "hook",
        "kubelet",
    )
    assert all(row.default and row.description.endswith(".") for row in rows.values())


def test_variables_of_the_image_are_written_only_if_they_differ_from_their_default() -> None:
    written = AdapterEnv(sink="http://h").to_environ()
    assert list(written) == [
        "NAMESPACE", "NAME", "METRICS_DOMAIN", "K_LOGGING_CONFIG", "K_KLOG_VERBOSITY", "K_OBSERVABILITY_CONFIG",
        "SOURCE_KIND", "SOURCE_CONFIG", "K_SINK", "K_CE_OVERRIDES",
    ]  # fmt: skip
    assert AdapterEnv(sink="http://h", port=9, sources_package="mine").to_environ().keys() - written.keys() == {
        "PORT",
        "SOURCES_PACKAGE",
    }


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        pytest.param({"K_SINK": ""}, "K_SINK is not set: write the absolute http(s) URL", id="no-sink"),
        pytest.param({"K_SINK": "host"}, "K_SINK is not valid: write the absolute", id="sink"),
        pytest.param({"PORT": "0"}, 'PORT is "0": write a port number from 1 to 65535', id="port"),
        pytest.param({"SOURCE_KIND": "lower"}, 'SOURCE_KIND is "lower": write a kind in CamelCase', id="kind"),
        pytest.param({"SOURCE_CONFIG": "[]"}, "SOURCE_CONFIG is not valid: write one JSON object", id="config"),
        pytest.param({"SOURCE_CREATED": "now"}, 'SOURCE_CREATED is "now": write an RFC 3339 time', id="created"),
        pytest.param(
            {"SOURCE_CONFIG": '{"a":{"$env":"SOURCE_SECRET_0"}}'}, "SOURCE_SECRET_0 is not set: SOURCE_CONFIG", id="ref"
        ),
    ],
)
def test_invalid_variable_is_named_with_its_value(environ: dict[str, str], message: str) -> None:
    with pytest.raises(EnvError) as caught:
        AdapterEnv.from_environ({"K_SINK": "http://h"} | environ)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="no-name"),
        pytest.param({"EVENT_SOURCE": "", "NAMESPACE": "", "NAME": ""}, id="empty"),
        pytest.param({"NAME": "hello"}, id="no-namespace"),
        pytest.param({"NAMESPACE": "ns"}, id="namespace-only"),
        pytest.param({"SOURCE_UID": "u-1"}, id="uid-only"),
    ],
)
def test_source_without_a_name_of_its_own_is_an_error(environ: dict[str, str]) -> None:
    """ContainerSource and SinkBinding set only K_ variables. Default names would give two sources equal event ids."""
    with pytest.raises(EnvError) as caught:
        AdapterEnv.from_environ({"K_SINK": "http://h"} | environ)
    assert str(caught.value) == (
        "EVENT_SOURCE is not set: set it to a value that no other source has, such as NAMESPACE/NAME; or set NAMESPACE "
        "and NAME"
    )


@pytest.mark.parametrize(
    ("environ", "source"),
    [({"EVENT_SOURCE": "/a/b"}, "/a/b"), ({"NAMESPACE": "ns", "NAME": "hello"}, "ns/hello")],
    ids=["event-source", "names"],
)
def test_source_and_identity_come_from_event_source_or_the_names(environ: dict[str, str], source: str) -> None:
    env = AdapterEnv.from_environ({"K_SINK": "http://h"} | environ)
    assert (env.source, env.identity) == (source, source)


def test_error_shows_at_most_80_characters_of_the_value() -> None:
    with pytest.raises(EnvError, match=r'^SOURCE_KIND is "x{80}…": '):
        AdapterEnv.from_environ({"SOURCE_KIND": "x" * 500})
