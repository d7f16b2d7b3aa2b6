"""``sources manifests`` as a child process: files, output and exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.process.sources import sources, write_kind

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "metacontroller/sources"
GOLDEN = ROOT / "tests/contract/queue_depth_source"


@pytest.mark.parametrize("kind", sorted(file.stem for file in (ROOT / "adapter/sources").glob("*_source.py")))
def test_committed_manifests_are_current(kind: str) -> None:
    result = sources("manifests", f"adapter.sources.{kind}", "-o", COMMITTED / kind, "--check")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_manifests_of_an_authors_kind_are_the_golden_files() -> None:
    """After an intended change, run the same command without --check, and read the diff."""
    kinds = "v1/Service,eventing.knative.dev/v1/Broker,messaging.knative.dev/v1/Channel"
    options = ("--sink-kinds", kinds, "--image", "registry.example.com/queues:v1")
    places = ("--hook", "faas/hook", "--metacontroller", "faas/mc")
    result = sources("manifests", "tests/kinds/queue_depth_source.py", "-o", GOLDEN, "--check", *options, *places)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_check_names_each_outdated_file_and_writes_nothing(tmp_path: Path) -> None:
    assert sources("manifests", "adapter.sources.sample_source", "-o", tmp_path).returncode == 0
    crd = tmp_path / "crd.yaml"
    crd.write_text(crd.read_text().replace("10s", "11s"))
    (tmp_path / "rbac.yaml").unlink()
    result = sources("manifests", "adapter.sources.sample_source", "-o", tmp_path, "--check")
    assert result.returncode == 1
    assert [line.split(" is ")[0] for line in result.stderr.splitlines()] == [str(crd), str(tmp_path / "rbac.yaml")]
    assert "11s" in crd.read_text()


def test_manifests_without_directory_are_printed() -> None:
    result = sources("manifests", "adapter.sources.sample_source")
    listed = [document["kind"] for document in yaml.safe_load_all(result.stdout)]
    assert listed[:2] == ["CustomResourceDefinition", "CompositeController"]
    assert "ClusterRole" in listed


def test_manifests_do_not_overwrite_those_of_another_kind(tmp_path: Path) -> None:
    for name, file in (("HTTPSource", "http_source.py"), ("TinySource", "tiny_source.py")):
        write_kind(tmp_path, name=name, file=file)
    assert sources("manifests", "kinds/http_source.py", "-o", "made", cwd=tmp_path).returncode == 0
    before = {file.name: file.read_text() for file in (tmp_path / "made").iterdir()}
    result = sources("manifests", "kinds/tiny_source.py", "-o", "made", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    own = "use one directory per kind: -o made/tiny_source\n"
    assert result.stderr == f"sources: made contains the manifests of HTTPSource (kinds.http_source); {own}"
    assert {file.name: file.read_text() for file in (tmp_path / "made").iterdir()} == before
    (tmp_path / "made").rename(tmp_path / "http_source")
    result = sources("manifests", "kinds/tiny_source.py", "-o", "http_source", cwd=tmp_path)
    assert result.stderr.endswith(": -o tiny_source\n")
    (tmp_path / "kinds").rename(tmp_path / "ours")  # the package may change
    assert sources("manifests", "ours/http_source.py", "-o", "http_source", cwd=tmp_path).returncode == 0


def test_manifests_do_not_overwrite_a_file_that_was_not_generated(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [mine.yaml]\n")
    result = sources("manifests", "adapter.sources.sample_source", "-o", tmp_path)
    message = f"{tmp_path}/kustomization.yaml was not written by sources manifests; delete it, or choose another -o"
    assert (result.returncode, result.stderr) == (2, f"sources: {message}\n")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [
        ("kustomization.yaml", "resources: [mine.yaml]\n")
    ]


@pytest.mark.parametrize(
    ("fields", "options", "message"),
    [
        pytest.param(
            ("sink: str = ''",), {}, 'TinySource.sink: every source has "sink" in its spec already', id="clash"
        ),
        pytest.param(
            ("copy: str = Field('', description='A.')",),
            {},
            'TinySource.copy: "copy" is an attribute of the class Timer; choose another name',
            id="hides a name",
        ),
        pytest.param(
            ("f: __import__('typing').Callable[[], int] = Field(description='A function.')",),
            {},
            "spec.f has a type without JSON schema (PydanticInvalidForJsonSchema: ",
            id="no schema",
        ),
        pytest.param(
            ("a: int = 1",), {}, "TinySource.a has no description; write Field(description=", id="description"
        ),
        pytest.param(
            ("api_version = 'x'",), {}, 'TypeError: TinySource.api_version is "x": write group/version', id="version"
        ),
        pytest.param(
            (),
            {"name": f"{'A' * 46}Source", "file": f"{'a' * 46}_source.py"},
            f'TypeError: the kind "{"A" * 46}Source" has 53 characters as "{"a" * 46}-source"; write at most 52',
            id="long",
        ),
        pytest.param(
            ("event_type_field = 'x'",),
            {},
            'TinySource.event_type_field is "x": write the name of a field of spec',
            id="type-field",
        ),
        pytest.param(
            ("raise SystemExit(3)",),
            {},
            "kinds.tiny_source cannot be loaded: SystemExit: 3 (tiny_source.py:4)",
            id="exit",
        ),
        pytest.param(("a: int = (",), {}, "kinds.tiny_source cannot be loaded: SyntaxError: ", id="broken Python"),
        pytest.param(
            ("a: int = Field(high, description='A.')",),
            {},
            "kinds.tiny_source cannot be loaded: NameError: name 'high' is not defined (tiny_source.py:4)",
            id="name that does not exist",
        ),
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
def test_invalid_class_prints_one_line_and_exits_2(
    tmp_path: Path, fields: tuple[str, ...], options: dict[str, str], message: str
) -> None:
    file = write_kind(tmp_path, *fields, **options)
    result = sources("manifests", file.relative_to(tmp_path), cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_warnings_of_an_authors_module_are_shown(tmp_path: Path) -> None:
    """Except pydantic's warning about a field that the tool then rejects itself."""
    file = write_kind(tmp_path)
    own = "class Part(BaseModel): copy: str = Field('', description='A.')"
    file.write_text(f"import warnings\nfrom pydantic import *\nwarnings.warn('mine')\n{own}\n{file.read_text()}")
    result = sources("manifests", file.relative_to(tmp_path), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "UserWarning: mine" in result.stderr
    assert 'UserWarning: Field name "copy" in "Part" shadows an attribute in parent "BaseModel"' in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("nothing.there",), 'module "nothing.there" does not exist', id="no module"),
        pytest.param(("alone",), '"alone" is not in a package; move it into a directory', id="alone"),
        pytest.param(("/elsewhere/a_source.py",), "is not below the working directory", id="a file elsewhere"),
        pytest.param(("adapter.sdk",), "must define exactly one subclass of Source; found: none", id="no kind"),
        pytest.param(
            ("adapter.sdk", "--sink-kinds", "Broker"), '"Broker" is not <apiVersion>/<Kind>; write one', id="sink"
        ),
        pytest.param(("adapter.sdk", "--sink-kinds", ","), "the list is empty; write kinds like", id="no sink"),
        pytest.param(("adapter.sdk", "--hook", "x"), '"x" is not <namespace>/<name>', id="place"),
    ],
)
def test_invalid_arguments_print_one_line_and_exit_2(arguments: tuple[str, ...], message: str) -> None:
    result = sources("manifests", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_sink_kinds_are_in_the_query_and_in_the_role() -> None:
    controller = yaml.safe_load((GOLDEN / "controller.yaml").read_text())
    hooks = controller["spec"]["hooks"]
    listed = "sinkKinds=v1/Service,eventing.knative.dev/v1/Broker,messaging.knative.dev/v1/Channel"
    assert hooks["customize"]["webhook"]["path"] == f"/customize?{listed}"
    sync = "/sync?types=com.example.queue.depth&image=registry.example.com/queues:v1&"
    assert hooks["sync"]["webhook"]["path"] == sync + listed
    roles = {
        role["metadata"]["name"]: role
        for role in yaml.safe_load_all((GOLDEN / "rbac.yaml").read_text())
        if "rules" in role
    }
    rules = roles["queuedepthsources.queues.example.com-metacontroller"]["rules"]
    allowed = {(group, resource) for rule in rules for group in rule["apiGroups"] for resource in rule["resources"]}
    assert {("", "services"), ("eventing.knative.dev", "brokers"), ("messaging.knative.dev", "channels")} <= allowed
    assert not [rule for rule in rules if "*" in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])]


def test_no_manifest_grants_a_wildcard() -> None:
    rules = 0
    for file in ROOT.glob("metacontroller/**/*.yaml"):
        for role in re.findall(r"^kind: (?:Cluster)?Role$.*?(?=^---|\Z)", file.read_text(), re.MULTILINE | re.DOTALL):
            assert "*" not in role, file
            rules += 1
    assert rules > 10
