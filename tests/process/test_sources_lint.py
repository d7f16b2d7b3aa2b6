"""``sources lint`` as a child process: output and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.process.sources import sources, write_kind

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "metacontroller/samples/quickstart.yaml"
COMMITTED = ROOT / "metacontroller/sources"
GOLDEN = ROOT / "tests/contract/queue_depth_source"
HEAD = "apiVersion: samples.knative.dev/v1alpha1\nkind: SampleSource\nmetadata:\n  name: a\n"
BAD = HEAD + "spec:\n  interval: 10\n  sink:\n    uri: http://h\n---\n" + HEAD + "spec:\n  sink:\n    url: http://h\n"
GOOD = HEAD + "spec:\n  sink:\n    uri: http://h\n"


UNKNOWN_FIELD = "spec.sink.url: unknown field; known fields: ref, uri, CACerts, audience; did you mean uri?"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path / "bad.yaml"


def test_valid_file_prints_one_line_and_exits_0() -> None:
    result = sources("lint", QUICKSTART, *COMMITTED.glob("*/sample.yaml"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "5 sources, no problems\n", "")


def test_each_mistake_is_printed_with_file_line_and_field(bad: Path) -> None:
    result = sources("lint", "bad.yaml", cwd=bad.parent)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        "bad.yaml:6: SampleSource default/a: spec.interval: Invalid value: 10: must be of type string, not integer",
        f"bad.yaml:16: SampleSource default/a: {UNKNOWN_FIELD}",
    ]


@pytest.mark.parametrize(("output", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_output_json_and_yaml_hold_the_same_findings(bad: Path, output: str, parse: object) -> None:
    result = sources("lint", bad, "-o", output)
    assert result.returncode == 1
    found = parse(result.stdout)  # type: ignore[operator]  # one of two parsers
    assert [(finding["line"], finding["kind"], finding["name"]) for finding in found] == [
        (6, "SampleSource", "default/a"),
        (16, "SampleSource", "default/a"),
    ]
    assert found[1] == {**found[1], "file": str(bad), "message": UNKNOWN_FIELD}


def test_output_json_of_a_valid_file_is_an_empty_list() -> None:
    assert sources("lint", QUICKSTART, "-o", "json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [", "bad.yaml:1: broken YAML: ", id="broken"),
        pytest.param(GOOD + "  sink: {}\n", 'bad.yaml:8: broken YAML: key "sink" already set in map', id="a key twice"),
        pytest.param("- a\n", "bad.yaml:1: not a Kubernetes object; each document needs apiVersion", id="a list"),
        pytest.param("", "bad.yaml: no sources found; add an object whose kind ends in Source", id="empty"),
    ],
)
def test_unreadable_file_prints_one_line_and_exits_2(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    result = sources("lint", "bad.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"sources: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "SampleSource", "PingSource", ':2: PingSource default/a: kind is "PingSource": adapter.sources has no such '
            "kind; there are: CronSource, PollSource, SampleSource, WebhookSource", id="unknown kind",
        ),
        pytest.param(
            "v1alpha1", "v1", ':1: SampleSource default/a: apiVersion: Invalid value: "samples.knative.dev/v1": '
            'write "samples.knative.dev/v1alpha1", the apiVersion of SampleSource', id="another version",
        ),
    ],
)  # fmt: skip
def test_kind_or_version_that_is_not_served_is_a_finding(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(GOOD.replace(old, new))
    result = sources("lint", "bad.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, f"bad.yaml{message}\n")


@pytest.mark.parametrize(
    ("rule", "code", "out", "err"),
    [
        pytest.param(
            "self > 1", 1, "a.yaml:6: TinySource default/a: spec.size: Invalid value: 1: failed rule: self > 1\n", "",
            id="checked",
        ),
        pytest.param(
            "self.lowerAscii() == 'a'", 0, "1 source, no problems\n",
            "rule not checked: self.lowerAscii() == 'a' (cel-python does not support lowerAscii)\n", id="not checked",
        ),
    ],
)  # fmt: skip
def test_rule_of_an_author_is_checked_or_named(tmp_path: Path, rule: str, code: int, out: str, err: str) -> None:
    write_kind(tmp_path, 'size: int = Field(2, description="A size.", json_schema_extra={"x-kubernetes-validations": '
               f'[{{"rule": "{rule}"}}]}})')  # fmt: skip
    (tmp_path / "a.yaml").write_text(GOOD.replace("SampleSource", "TinySource").replace("spec:", "spec:\n  size: 1"))
    result = sources("lint", "--package", "kinds", "a.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (code, out, err)


NO_KIND = "adapter.sources has no such kind; there are: CronSource, PollSource, SampleSource, WebhookSource"
MISSPELLED = GOOD.replace("SampleSource", "SampleSorce")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(
            MISSPELLED,
            f':2: SampleSorce default/a: kind is "SampleSorce": {NO_KIND}; did you mean SampleSource?',
            id="misspelled kind",
        ),
        pytest.param(
            GOOD.replace("SampleSource", "Samplesource"),
            f':2: Samplesource default/a: kind is "Samplesource": {NO_KIND}; did you mean SampleSource?',
            id="lower-case kind",
        ),
        pytest.param(
            GOOD.replace("samples.knative.dev/v1alpha1", "v1"),
            ':1: SampleSource default/a: apiVersion: Invalid value: "v1": '
            'write "samples.knative.dev/v1alpha1", the apiVersion of SampleSource',
            id="apiVersion of Kubernetes",
        ),
    ],
)
def test_misspelled_source_beside_a_good_one_is_a_finding(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "a.yaml").write_text(text + "---\n" + GOOD)
    result = sources("lint", "a.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (1, f"a.yaml{found}\n", "")


def test_sink_of_the_same_group_and_objects_of_kubernetes_are_not_judged(tmp_path: Path) -> None:
    queue = GOOD.replace("SampleSource", "Queue") + "status:\n  address:\n    url: http://h\n"
    (tmp_path / "a.yaml").write_text(f"{queue}---\n{GOOD}---\napiVersion: apps/v1\nkind: StatefulSet\n")
    result = sources("lint", "a.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "1 source, no problems\n", "")


def a_list(*objects: str, kind: str = "List") -> str:
    items = "".join(f"- {json.dumps(yaml.safe_load(text))}\n" for text in objects)
    return f"apiVersion: v1\nkind: {kind}\nitems:\n{items}"


@pytest.mark.parametrize("kind", ["List", "SampleSourceList"])
def test_sources_in_a_list_are_checked_with_their_line(tmp_path: Path, kind: str) -> None:
    bad = HEAD + "spec:\n  sink:\n    url: http://h\n"
    (tmp_path / "a.yaml").write_text(a_list(GOOD, bad, a_list(bad), kind=kind))
    result = sources("lint", "a.yaml", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [f"a.yaml:{line}: SampleSource default/a: {UNKNOWN_FIELD}" for line in (5, 6)]


def test_standard_input_is_checked() -> None:
    result = sources("lint", "-", stdin=GOOD)
    assert (result.returncode, result.stdout, result.stderr) == (0, "1 source, no problems\n", "")
    result = sources("lint", "-", stdin=MISSPELLED)
    assert (result.returncode, result.stdout.startswith("-:2: SampleSorce ")) == (1, True), result


def test_yaml_and_json_files_of_a_directory_are_checked(tmp_path: Path) -> None:
    (tmp_path / "deploy/more").mkdir(parents=True)
    for file in ("deploy/a.yaml", "deploy/b.yml", "deploy/more/below.yaml", "deploy/README.md"):
        (tmp_path / file).write_text(GOOD)
    (tmp_path / "deploy/c.json").write_text(json.dumps(yaml.safe_load(GOOD)))
    result = sources("lint", "deploy", "deploy/a.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "3 sources, no problems\n", "")
    (tmp_path / "empty").mkdir()
    result = sources("lint", "empty", cwd=tmp_path)
    message = "sources: empty: the directory contains no .yaml, .yml or .json file that can be read\n"
    assert (result.returncode, result.stderr) == (2, message)


@pytest.mark.parametrize("output", ["text", "json"])
def test_unreadable_files_do_not_hide_findings_in_others(tmp_path: Path, output: str) -> None:
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "mixed.yaml").write_text(f"- a\n---\n{BAD}")
    (tmp_path / "good.yaml").write_text(GOOD)
    files = ("missing.yaml", "broken.yaml", "good.yaml", "mixed.yaml")
    result = sources("lint", "-o", output, *files, cwd=tmp_path)
    assert result.returncode == 2
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == [
        "missing.yaml", "broken.yaml:1", "mixed.yaml:1"
    ]  # fmt: skip
    assert len(json.loads(result.stdout) if output == "json" else result.stdout.splitlines()) == 2
    result = sources("lint", "missing.yaml", "good.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")


CRON = """apiVersion: samples.knative.dev/v1alpha1
kind: CronSource
metadata: {name: a}
spec:
  sink: {uri: http://h}
  schedule: "0 9 * * MON"
  timeZone: Europe/Berlin
"""
BY_CLASS = "(rejected by CronSource; the API server would accept it, but the adapter would exit)\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("Berlin", "Berln", 'a.yaml:7: CronSource default/a: spec.timeZone: Invalid value: "Europe/Berln": '
                     'there is no time zone "Europe/Berln"; write the name of an IANA time zone, like Europe/Berlin or '
                     f"UTC {BY_CLASS}", id="time zone"),
        pytest.param("MON", "MN", 'a.yaml:6: CronSource default/a: spec.schedule: Invalid value: "0 9 * * MN": '
                     '"0 9 * * MN" is not a cron expression: bad day-of-week; write one like "0 9 * * MON-FRI" '
                     f"{BY_CLASS}", id="expression"),
    ],
)  # fmt: skip
def test_value_that_only_the_class_rejects_is_a_finding(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(CRON.replace(old, new))
    result = sources("lint", tmp_path / "a.yaml")
    assert (result.returncode, result.stdout) == (1, f"{tmp_path}/{message}")


def test_any_error_of_a_class_is_a_finding(tmp_path: Path) -> None:
    write_kind(tmp_path, "def model_post_init(self, _):\n        raise KeyError('odd')")
    document = "apiVersion: samples.knative.dev/v1alpha1\nkind: TinySource\nmetadata: {name: a}\nspec: {sink: {uri: http://h}}\n"
    (tmp_path / "a.yaml").write_text(document)
    result = sources("lint", "--package", "kinds", "a.yaml", cwd=tmp_path)
    note = BY_CLASS.replace("Cron", "Tiny")
    assert (result.returncode, result.stdout) == (
        1,
        f"a.yaml:4: TinySource default/a: spec: Invalid value: KeyError: 'odd' {note}",
    )


PICKY = """
    token: SecretText = Field(description="A secret.")

    @field_validator("token")
    def check(cls, value):
        raise {error}
"""


@pytest.mark.parametrize("error", ["ValueError('too short')", "KeyError('odd')"], ids=["field", "error of a library"])
def test_error_of_a_class_about_a_secret_is_not_a_finding(tmp_path: Path, error: str) -> None:
    write_kind(tmp_path, PICKY.format(error=error).strip())
    module = tmp_path / "kinds/tiny_source.py"
    module.write_text("from pydantic import field_validator\nfrom adapter.sdk import SecretText\n" + module.read_text())
    secret = "  token: {secretKeyRef: {name: s, key: k}}\n"
    (tmp_path / "a.yaml").write_text(GOOD.replace("SampleSource", "TinySource") + secret)
    result = sources("lint", "--package", "kinds", "a.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "1 source, no problems\n"), result.stderr
