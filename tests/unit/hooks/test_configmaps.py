"""The mounted ConfigMaps become the variables that Knative's ConfigAccessor writes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from adapter.serving.logs import fields_of
from hooks.configmaps import MountedConfig
from hooks.observability import ConfigProblem, logging_json, observability_json, verbosity

DEFAULT = (
    '{"tracing":{"protocol":"none"},"metrics":{"protocol":"none"},'
    '"runtime":{"profiling":"disabled","exportInterval":15000000000},"enableSinkEventErrorReporting":false}'
)


def test_without_config_maps_the_defaults_of_knative_apply() -> None:
    config = MountedConfig(None).for_kind("SampleSource")
    assert (config.logging, config.klog_verbosity, config.observability) == ("", "0", DEFAULT)


@pytest.mark.parametrize(
    ("values", "section", "expected"),
    [
        pytest.param(
            {"metrics-protocol": "http/protobuf", "metrics-endpoint": "http://localhost:12345"},
            "metrics",
            '{"protocol":"http/protobuf","endpoint":"http://localhost:12345"}',
            id="metrics",
        ),
        pytest.param(
            {"metrics-protocol": "prometheus"},
            "metrics",
            '{"protocol":"prometheus","endpoint":":9092"}',
            id="prometheus-default-endpoint",
        ),
        pytest.param(
            {"metrics-export-interval": "1m"},
            "metrics",
            '{"protocol":"none","exportInterval":60000000000}',
            id="export-interval-in-nanoseconds",
        ),
        pytest.param(
            {"tracing-protocol": "grpc", "tracing-endpoint": "c:4317", "tracing-sampling-rate": "0.1"},
            "tracing",
            '{"protocol":"grpc","endpoint":"c:4317","samplingRate":0.1}',
            id="tracing",
        ),
        pytest.param({"tracing-sampling-rate": "1"}, "tracing", '{"protocol":"none","samplingRate":1}', id="whole"),
        pytest.param(
            {"runtime-profiling": "enabled", "runtime-export-interval": "5s"},
            "runtime",
            '{"profiling":"enabled","exportInterval":5000000000}',
            id="runtime",
        ),
        pytest.param({"sink-event-error-reporting.enable": "True"}, "enableSinkEventErrorReporting", "true", id="flag"),
    ],
)
def test_each_key_becomes_a_field_of_the_json_of_knative(values: dict[str, str], section: str, expected: str) -> None:
    answer = json.loads(observability_json(values))
    assert json.dumps(answer[section], separators=(",", ":")) == expected
    assert list(answer) == list(json.loads(DEFAULT))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        pytest.param({"metrics-protocol": "stackdriver"}, 'is "stackdriver", write one of', id="legacy"),
        pytest.param({"tracing-protocol": "zipkin"}, 'tracing-protocol is "zipkin"', id="tracing"),
        pytest.param({"tracing-sampling-rate": "2"}, "write a number from 0 to 1", id="rate-above-one"),
        pytest.param({"tracing-sampling-rate": "nan"}, "write a number from 0 to 1", id="rate-nan"),
        pytest.param({"metrics-export-interval": "60"}, 'is "60", write a duration like 30s', id="no-unit"),
        pytest.param({"runtime-profiling": "on"}, "write one of disabled, enabled", id="profiling"),
        pytest.param({"sink-event-error-reporting.enable": "yes"}, "write true or false", id="flag"),
    ],
)
def test_error_names_the_invalid_value(values: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigProblem, match=sentence):
        observability_json(values)


def test_zap_configuration_is_passed_on_unchanged() -> None:
    assert logging_json({"zap-logger-config": '{"level": "fatal"}'}, "sample-source") == (
        '{"zap-logger-config":"{\\"level\\": \\"fatal\\"}"}'
    )


def test_level_of_the_component_is_inserted_in_the_order_of_zap() -> None:
    values = {
        "zap-logger-config": '{"encoding":"json","encoderConfig":{"timeKey":"ts"},"outputPaths":["stdout"]}',
        "loglevel.sample-source": "debug",
        "loglevel.other-source": "error",
    }
    zap = json.loads(logging_json(values, "sample-source"))["zap-logger-config"]
    assert zap == '{"level":"debug","encoding":"json","outputPaths":["stdout"],"encoderConfig":{"timeKey":"ts"}}'


@pytest.mark.parametrize("text", ["x", "10", "-1", "٣"], ids=["word", "two-digits", "negative", "arabic"])
def test_verbosity_is_one_digit(text: str) -> None:
    with pytest.raises(ConfigProblem, match="klog-verbosity"):
        verbosity({"klog-verbosity": text})


class Mount:
    """A ConfigMap as the kubelet mounts it: keys are links through ..data, and an update replaces ..data."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory / name
        self.directory.mkdir(parents=True)
        self._version = 0

    def write(self, **values: str) -> None:
        self._version += 1
        version = self.directory / f"..2026_{self._version}"
        version.mkdir()
        for key, value in values.items():
            file = key.replace("_", "-")
            (version / file).write_text(value)
            if not (self.directory / file).is_symlink():
                (self.directory / file).symlink_to(Path("..data") / file)
        link = self.directory / "..data_tmp"
        link.symlink_to(version.name)
        os.replace(link, self.directory / "..data")


def test_replaced_config_map_is_read_with_the_next_sync(tmp_path: Path) -> None:
    mount, config = Mount(tmp_path, "config-logging"), MountedConfig(tmp_path)
    assert config.for_kind("SampleSource").klog_verbosity == "0"
    for digit in "123":
        mount.write(klog_verbosity=digit)
        assert config.for_kind("SampleSource").klog_verbosity == digit


def test_rewritten_file_is_read_with_the_next_sync(tmp_path: Path) -> None:
    file = tmp_path / "config-logging" / "klog-verbosity"
    file.parent.mkdir()
    config = MountedConfig(tmp_path)
    for digit in "12":
        file.write_text(digit)
        os.utime(file, ns=(int(digit), int(digit)))  # two writes in quick succession can have the same time
        assert config.for_kind("SampleSource").klog_verbosity == digit


def test_invalid_config_map_keeps_its_last_valid_content_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mount, config = Mount(tmp_path, "config-observability"), MountedConfig(tmp_path)
    mount.write(metrics_protocol="prometheus")
    good = config.for_kind("SampleSource")
    mount.write(metrics_protocol="stackdriver")
    for kind in ("SampleSource", "OtherSource", "SampleSource"):
        assert config.for_kind(kind) == good
    Mount(tmp_path, "config-logging").write(klog_verbosity="0")  # all files are read again
    assert config.for_kind("SampleSource") == good
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    fields = fields_of(record)
    problem = f"{fields['config_map']}: {fields['error']}; the last valid content stays in use"
    assert list(config.problems.values()) == [problem]
    assert problem.startswith('config-observability: metrics-protocol is "stackdriver", write one of')
    mount.write(metrics_protocol="none")
    assert config.for_kind("SampleSource").observability == DEFAULT
    assert config.problems == {}


def test_defaults_apply_if_the_config_map_was_never_valid(tmp_path: Path) -> None:
    Mount(tmp_path, "config-logging").write(zap_logger_config="{")
    config = MountedConfig(tmp_path)
    assert config.for_kind("SampleSource").logging == ""
    assert "zap-logger-config is not a JSON object" in config.problems["config-logging"]


def test_files_are_read_only_after_a_change(tmp_path: Path) -> None:
    file = tmp_path / "config-logging" / "klog-verbosity"
    file.parent.mkdir()
    file.write_text("4")
    os.utime(file, ns=(1, 1))
    config = MountedConfig(tmp_path)
    assert config.for_kind("SampleSource").klog_verbosity == "4"
    file.write_text("5")
    os.utime(file, ns=(1, 1))  # same size, time and inode: looks unchanged
    assert config.for_kind("SampleSource").klog_verbosity == "4"


def test_binary_file_is_a_problem(tmp_path: Path) -> None:
    directory = tmp_path / "config-logging"
    directory.mkdir()
    (directory / "zap-logger-config").write_bytes(b"\xff")
    config = MountedConfig(tmp_path)
    assert config.for_kind("SampleSource").logging == ""
    assert config.problems
