"""``sources lint`` and ``sources manifests`` as a person or a script uses them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.process.sources import sources

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "metacontroller/samples/quickstart.yaml"
COMMITTED = ROOT / "metacontroller/sources"
GOLDEN = ROOT / "tests/contract/queue_depth_source"
HEAD = "apiVersion: samples.knative.dev/v1alpha1\nkind: SampleSource\nmetadata:\n  name: a\n"
BAD = HEAD + "spec:\n  interval: 10\n  sink:\n    uri: http://h\n---\n" + HEAD + "spec:\n  sink:\n    url: http://h\n"
GOOD = HEAD + "spec:\n  sink:\n    uri: http://h\n"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path / "bad.yaml"


def test_a_file_without_mistakes_is_one_line_and_exit_code_0() -> None:
    result = sources("lint", QUICKSTART, *COMMITTED.glob("*/sample.yaml"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "4 sources, no problem\n", "")


def test_each_mistake_is_a_line_with_its_place_in_the_api_servers_words(bad: Path) -> None:
    result = sources("lint", "bad.yaml", cwd=bad.parent)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        'bad.yaml:6: SampleSource default/a: spec.interval: Invalid value: "integer": '
        'spec.interval in body must be of type string: "integer"',
        'bad.yaml:16: SampleSource default/a: unknown field "spec.sink.url"',
    ]


@pytest.mark.parametrize(("output", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_the_same_as_data(bad: Path, output: str, parse: object) -> None:
    result = sources("lint", bad, "-o", output)
    assert result.returncode == 1
    found = parse(result.stdout)  # type: ignore[operator]  # one of two parsers
    assert [(it["line"], it["kind"], it["name"]) for it in found] == [
        (6, "SampleSource", "default/a"),
        (16, "SampleSource", "default/a"),
    ]
    assert found[1] == {**found[1], "file": str(bad), "message": 'unknown field "spec.sink.url"'}


def test_no_mistake_is_an_empty_list() -> None:
    assert sources("lint", QUICKSTART, "-o", "json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a: [", "bad.yaml:1: broken YAML: ", id="broken"),
        pytest.param(GOOD + "  sink: {}\n", 'bad.yaml:8: broken YAML: key "sink" already set in map', id="a key twice"),
        pytest.param("- a\n", "bad.yaml:1: not a Kubernetes object; each document needs apiVersion", id="a list"),
        pytest.param("", "bad.yaml: no source in it; add an object whose kind ends with Source", id="empty"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    result = sources("lint", "bad.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"sources: {said}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(
            "SampleSource", "PingSource", ':2: PingSource default/a: kind is "PingSource": adapter.sources has no such '
            "kind; there are: PollSource, SampleSource, WebhookSource", id="a foreign kind",
        ),
        pytest.param(
            "v1alpha1", "v1", ':1: SampleSource default/a: no matches for kind "SampleSource" in version '
            '"samples.knative.dev/v1"; write "samples.knative.dev/v1alpha1"', id="another version",
        ),
    ],
)  # fmt: skip
def test_what_the_server_does_not_serve_is_a_finding(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text(GOOD.replace(old, new))
    result = sources("lint", "bad.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, f"bad.yaml{said}\n")


def test_a_rule_of_the_authors_own_is_said_to_be_unchecked(tmp_path: Path) -> None:
    write_kind(tmp_path, 'size: int = Field(1, description="A size.", json_schema_extra={"x-kubernetes-validations": '
               '[{"rule": "self > 0"}]})')  # fmt: skip
    (tmp_path / "a.yaml").write_text(GOOD.replace("SampleSource", "TinySource"))
    result = sources("lint", "--package", "kinds", "a.yaml", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "not checked, only an API server can: self > 0\n")


CRON = """apiVersion: samples.example.com/v1
kind: CronSource
metadata: {name: a}
spec:
  sink: {uri: http://h}
  schedule: "0 9 * * MON"
  timeZone: Europe/Berlin
"""
BY_ITSELF = "itself says so: the API server takes it, and the adapter ends)\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param("Berlin", "Berln", 'a.yaml:7: CronSource default/a: spec.timeZone: Invalid value: "Europe/Berln": '
                     f"invalid timezone: Europe/Berln (CronSource {BY_ITSELF}", id="field"),
        pytest.param("MON", "MN", "a.yaml:4: CronSource default/a: spec: Invalid value: CronSimError: Bad day-of-week "
                     f"(CronSource {BY_ITSELF}", id="in its library's words"),
    ],
)  # fmt: skip
def test_what_only_the_class_refuses_is_a_finding_too(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "a.yaml").write_text(CRON.replace(old, new))
    result = sources("lint", "--package", "metacontroller.samples.kinds", tmp_path / "a.yaml")
    assert (result.returncode, result.stdout) == (1, f"{tmp_path}/{said}")


PICKY = """
    token: SecretText = Field(description="A secret.")

    @field_validator("token")
    def check(cls, it):
        raise {error}
"""


@pytest.mark.parametrize(
    "error", ["ValueError('too short')", "KeyError('odd')"], ids=["field", "in its library's words"]
)
def test_what_a_class_says_of_a_secret_is_left_to_the_adapter(tmp_path: Path, error: str) -> None:
    write_kind(tmp_path, PICKY.format(error=error).strip())
    module = tmp_path / "kinds/tiny_source.py"
    module.write_text("from pydantic import field_validator\nfrom adapter.sdk import SecretText\n" + module.read_text())
    secret = "  token: {secretKeyRef: {name: s, key: k}}\n"
    (tmp_path / "a.yaml").write_text(GOOD.replace("SampleSource", "TinySource") + secret)
    result = sources("lint", "--package", "kinds", "a.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "1 source, no problem\n"), result.stderr


@pytest.mark.parametrize("kind", sorted(it.stem for it in (ROOT / "adapter/sources").glob("*_source.py")))
def test_the_committed_manifests_are_current(kind: str) -> None:
    result = sources("manifests", f"adapter.sources.{kind}", "-o", COMMITTED / kind, "--check")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_manifests_of_an_own_kind_are_the_golden_ones() -> None:
    """To change them, run the same command without --check, and review the diff."""
    kinds = "v1/Service,eventing.knative.dev/v1/Broker,messaging.knative.dev/v1/Channel"
    options = ("--sink-kinds", kinds, "--image", "registry.example.com/queues:v1")
    places = ("--hook", "faas/hook", "--metacontroller", "faas/mc")
    result = sources("manifests", "tests/kinds/queue_depth_source.py", "-o", GOLDEN, "--check", *options, *places)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_check_names_each_file_that_is_not_current_and_writes_nothing(tmp_path: Path) -> None:
    assert sources("manifests", "adapter.sources.sample_source", "-o", tmp_path).returncode == 0
    crd = tmp_path / "crd.yaml"
    crd.write_text(crd.read_text().replace("10s", "11s"))
    (tmp_path / "rbac.yaml").unlink()
    result = sources("manifests", "adapter.sources.sample_source", "-o", tmp_path, "--check")
    assert result.returncode == 1
    assert [line.split(" is ")[0] for line in result.stderr.splitlines()] == [str(crd), str(tmp_path / "rbac.yaml")]
    assert "11s" in crd.read_text()


def test_without_a_directory_everything_is_printed_for_kubectl() -> None:
    result = sources("manifests", "adapter.sources.sample_source")
    listed = [it["kind"] for it in yaml.safe_load_all(result.stdout)]
    assert listed[:2] == ["CustomResourceDefinition", "CompositeController"]
    assert "ClusterRole" in listed


def write_kind(directory: Path, *fields: str, name: str = "TinySource", file: str = "tiny_source.py") -> Path:
    lines = [
        "from adapter.sdk import *",
        f"class {name}(Timer):",
        '    """A tiny kind."""',
        *(f"    {it}" for it in fields),
    ]
    (directory / "kinds").mkdir(exist_ok=True)
    (directory / "kinds" / file).write_text("\n".join([*lines, "    def tick(self, n): return Event(type='a')", ""]))
    return directory / "kinds" / file


def test_a_directory_keeps_the_files_of_the_kind_it_holds(tmp_path: Path) -> None:
    for name, file in (("HTTPSource", "http_source.py"), ("TinySource", "tiny_source.py")):
        write_kind(tmp_path, name=name, file=file)
    assert sources("manifests", "kinds/http_source.py", "-o", "made", cwd=tmp_path).returncode == 0
    before = {it.name: it.read_text() for it in (tmp_path / "made").iterdir()}
    result = sources("manifests", "kinds/tiny_source.py", "-o", "made", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    own = "use one directory per kind: -o made/tiny_source\n"
    assert result.stderr == f"sources: made contains the manifests of HTTPSource (kinds.http_source); {own}"
    assert {it.name: it.read_text() for it in (tmp_path / "made").iterdir()} == before
    (tmp_path / "made").rename(tmp_path / "http_source")
    result = sources("manifests", "kinds/tiny_source.py", "-o", "http_source", cwd=tmp_path)
    assert result.stderr.endswith(": -o tiny_source\n")
    (tmp_path / "kinds").rename(tmp_path / "ours")  # the same kind in another package is no other kind
    assert sources("manifests", "ours/http_source.py", "-o", "http_source", cwd=tmp_path).returncode == 0


def test_a_file_of_somebody_elses_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [mine.yaml]\n")
    result = sources("manifests", "adapter.sources.sample_source", "-o", tmp_path)
    said = f"{tmp_path}/kustomization.yaml was not written by sources manifests; delete it, or choose another -o"
    assert (result.returncode, result.stderr) == (2, f"sources: {said}\n")
    assert [(it.name, it.read_text()) for it in tmp_path.iterdir()] == [
        ("kustomization.yaml", "resources: [mine.yaml]\n")
    ]


@pytest.mark.parametrize(
    ("fields", "options", "said"),
    [
        pytest.param(
            ("sink: str = ''",), {}, 'TinySource.sink: every source has "sink" in its spec already', id="clash"
        ),
        pytest.param(
            ("copy: str = Field('', description='A.')",),
            {},
            'TinySource.copy: "copy" is a name of the class Timer; choose another name',
            id="hides a name",
        ),
        pytest.param(
            ("f: __import__('typing').Callable[[], int] = Field(description='A function.')",),
            {},
            "spec.f is of a type without JSON schema (PydanticInvalidForJsonSchema: ",
            id="no schema",
        ),
        pytest.param(
            ("a: int = 1",), {}, "TinySource.a has no description; write Field(description=", id="description"
        ),
        pytest.param(("api_version = 'x'",), {}, 'TinySource.api_version is "x": write group/version', id="version"),
        pytest.param(
            ("event_type_field = 'x'",),
            {},
            'TinySource.event_type_field is "x": write the name of a field of spec',
            id="type-field",
        ),
        pytest.param(("a: int = (",), {}, "kinds.tiny_source cannot be loaded: SyntaxError: ", id="broken Python"),
        pytest.param(
            ("import nothing_there",), {}, "kinds.tiny_source cannot be loaded: ModuleNotFoundError: ", id="import"
        ),
        pytest.param(
            (), {"name": "Tiny"}, "kinds.tiny_source defines Tiny, but adapters import it from tiny.py", id="file"
        ),
        pytest.param(("size = 3",), {}, "kinds.tiny_source cannot be loaded: PydanticUserError: ", id="no annotation"),
        pytest.param(
            ("pass\n\nclass OtherSource(Timer):",),
            {},
            "kinds.tiny_source must define exactly one subclass of Source; found: TinySource, OtherSource",
            id="two",
        ),
        pytest.param(
            (), {"name": "Tiny", "file": "tiny.py"}, 'the class name "Tiny" is not valid; write CamelCase', id="name"
        ),
    ],
)
def test_a_kind_that_cannot_be_is_one_line_and_exit_code_2(
    tmp_path: Path, fields: tuple[str, ...], options: dict[str, str], said: str
) -> None:
    file = write_kind(tmp_path, *fields, **options)
    result = sources("manifests", file.relative_to(tmp_path), cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_an_authors_module_warns_of_is_shown(tmp_path: Path) -> None:
    """Of pydantic's warnings only those go that come before our own refusal of the same field."""
    file = write_kind(tmp_path)
    own = "class Part(BaseModel): copy: str = Field('', description='A.')"
    file.write_text(f"import warnings\nfrom pydantic import *\nwarnings.warn('mine')\n{own}\n{file.read_text()}")
    result = sources("manifests", file.relative_to(tmp_path), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "UserWarning: mine" in result.stderr
    assert 'UserWarning: Field name "copy" in "Part" shadows an attribute in parent "BaseModel"' in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("nothing.there",), 'module "nothing.there" does not exist', id="no module"),
        pytest.param(("alone",), '"alone" is not in a package; move it into a directory', id="alone"),
        pytest.param(("/elsewhere/a_source.py",), "is not below the working directory", id="a file elsewhere"),
        pytest.param(("adapter.sdk",), "must define exactly one subclass of Source; found: none", id="no kind"),
        pytest.param(("adapter.sdk", "--sink-kinds", "Broker"), 'holds "Broker": write <apiVersion>/<Kind>', id="sink"),
        pytest.param(("adapter.sdk", "--sink-kinds", ","), "the list is empty; write kinds like", id="no sink"),
        pytest.param(("adapter.sdk", "--hook", "x"), '"x" is not <namespace>/<name>', id="place"),
    ],
)
def test_arguments_that_cannot_be_are_said_and_are_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    result = sources("manifests", *arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_one_list_of_sink_kinds_makes_the_query_and_the_role() -> None:
    controller = yaml.safe_load((GOLDEN / "controller.yaml").read_text())
    hooks = controller["spec"]["hooks"]
    listed = "sinkKinds=v1/Service,eventing.knative.dev/v1/Broker,messaging.knative.dev/v1/Channel"
    assert hooks["customize"]["webhook"]["path"] == f"/customize?{listed}"
    sync = "/sync?types=com.example.queue.depth&image=registry.example.com/queues:v1&"
    assert hooks["sync"]["webhook"]["path"] == sync + listed
    roles = {
        it["metadata"]["name"]: it for it in yaml.safe_load_all((GOLDEN / "rbac.yaml").read_text()) if "rules" in it
    }
    rules = roles["queuedepthsources.queues.example.com-metacontroller"]["rules"]
    allowed = {(group, resource) for it in rules for group in it["apiGroups"] for resource in it["resources"]}
    assert {("", "services"), ("eventing.knative.dev", "brokers"), ("messaging.knative.dev", "channels")} <= allowed
    assert not [it for it in rules if "*" in (*it["apiGroups"], *it["resources"], *it["verbs"])]


def test_nobody_may_do_everything() -> None:
    for file in ROOT.glob("metacontroller/**/*.yaml"):
        assert not re.search(r"""['"]\*['"]""", file.read_text()), file
