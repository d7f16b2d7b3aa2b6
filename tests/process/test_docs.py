"""Each code block of the documentation is checked, and its tables list what the code has."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter import sdk, testing
from adapter.contract.delivery_policy import Policy, read_policy
from adapter.contract.environment import AdapterEnv
from adapter.delivery.attempt import Disposition, disposition
from adapter.pool.settings import PoolEnv
from hooks.conditions import ConditionType
from hooks.diagnosis.reasons import Reason
from hooks.settings import read_settings
from metacontroller.generate.values import FLAGS, METACONTROLLER_IMAGE, TUNED_FLAGS
from sources_cli.cluster.reasons.table import TABLE
from sources_cli.kind import kind_named
from tests.pages import ROOT, Block, blocks, commands, names_in_first_cells, page, page_names, rows, section
from tests.process.doc_checks import CHECKS

ALL = [block for name in page_names() for block in blocks(name)]


@pytest.mark.parametrize("block", ALL, ids=str)
def test_every_code_block_is_checked(block: Block, tmp_path: Path) -> None:
    assert block.language in CHECKS, f"no checker for ```{block.language}; add one to doc_checks.CHECKS"
    CHECKS[block.language](block, tmp_path)


def test_the_readme_is_short() -> None:
    assert len(page("README.md").splitlines()) <= 150


def test_the_readme_installs_as_the_install_page_does() -> None:
    in_readme = [block.commands for block in blocks("README.md", "## Install it in a cluster")]
    assert in_readme == [
        commands("docs/install.md", f"## {heading}") for heading in ("Install with Helm", "Install with kustomize")
    ]


def test_the_first_event_takes_three_commands() -> None:
    for heading in ("## Install with Helm", "## Install with kustomize"):
        assert len(commands("docs/install.md", heading)) == 3


def test_the_pages_say_which_crds_to_delete() -> None:
    [_, delete, _] = commands("docs/uninstall.md", "## With Helm")
    files = (ROOT / "metacontroller/sources").glob("*/crd.yaml")
    names = {yaml.safe_load(file.read_text())["metadata"]["name"] for file in files}
    assert set(delete.removeprefix("kubectl delete crd ").split()) == names


def test_the_base_image_is_one_build_argument() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    [default] = [line.removeprefix("ARG BASE=") for line in lines if line.startswith("ARG BASE=")]
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert set(bases) == {"${BASE}", "scratch"}
    name = default.partition(":")[0]
    [[inspect_it, with_docker], [with_buildah]] = [
        one.commands for one in blocks("docs/release.md", "## Build the image")
    ]
    assert inspect_it.split()[-1] == default
    assert f"--build-arg BASE={name}@sha256:" in with_docker
    assert f"--build-arg BASE=docker.io/library/{name}@sha256:" in with_buildah


def test_the_default_image_has_no_packages_for_traces() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^ARG LOCK=(.*)$", text, re.MULTILINE) == ["runtime.lock"]
    [build] = blocks("docs/tracing.md", "### The image")[0].commands
    [lock] = re.findall(r"--build-arg LOCK=(\S+)", build)
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    for name in ("runtime.lock", lock):
        assert (ROOT / "requirements" / name).exists()
        assert f"!requirements/{name}" in sent


def test_the_finished_kind_is_the_one_under_test() -> None:
    kind = next(block for block in blocks("docs/write-a-source.md", "## A finished kind") if block.language == "python")
    assert kind.text == (ROOT / "tests/kinds/queue_depth_source.py").read_text()


def test_the_kind_of_the_readme_has_twelve_lines() -> None:
    [kind] = [block for block in blocks("README.md") if block.language == "python"]
    assert len([line for line in kind.text.splitlines() if line]) <= 12


def help_options(*command: str) -> set[str]:
    words, environ = [sys.executable, "-m", *command, "--help"], {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    lines = re.findall(r"^ +(?:-\w[^-\n]*)?(--[a-z][a-z-]*)", done.stdout, re.MULTILINE)
    return set(lines) - {"--help"}


@pytest.mark.parametrize("command", ["run", "render", "lint", "manifests", "new", "image"])
def test_the_options_of_each_command_are_listed(command: str) -> None:
    listed = set()
    for cells in rows(section("docs/reference/cli.md", f"## sources {command}")):
        listed |= set(re.findall(r"`(--[a-z-]+)", cells[0]))
    assert listed == help_options("sources_cli", command)


def test_the_options_of_run_are_explained() -> None:
    listed = names_in_first_cells(section("docs/run-locally.md", "## sources run"), "--[a-z-]+")
    assert listed == help_options("sources_cli", "run")


def test_the_options_of_the_display_are_listed() -> None:
    listed = names_in_first_cells(section("docs/reference/cli.md", "## python -m adapter.display"), "--[a-z-]+")
    assert listed == help_options("adapter.display")


def test_every_option_the_other_pages_name_exists() -> None:
    options = set[str]().union(
        *(help_options("sources_cli", command) for command in ("run", "render", "lint", "manifests", "new", "image"))
    )
    for name in ("docs/write-a-source.md", "docs/install.md"):
        listed = names_in_first_cells(page(name), "--[a-z-]+")
        flags = {"--client-go-qps", "--client-go-burst", "--workers", "--discovery-interval"}  # of Metacontroller
        assert listed - flags <= options, name


def test_the_fixtures_are_those_of_the_plugin() -> None:
    text = section("docs/write-a-source.md", "## Test your kind")
    fixtures = re.findall(r"^@pytest.fixture\ndef (\w+)\(", inspect.getsource(testing), re.MULTILINE)
    assert names_in_first_cells(text, "[a-z]+") == set(fixtures)
    assert set(text.partition("import ")[2].partition("`")[0].split(", ")) <= set(testing.__all__)


def overridable(cls: type[sdk.Source]) -> set[str]:
    """The public names that a base class defines or annotates, or a part of it that authors cannot import."""
    kinds = [base for base in cls.__mro__[1:] if issubclass(base, sdk.Source)]
    parts = [cls, *(base for base in kinds if not hasattr(sdk, base.__name__))]
    names = {name for part in parts for name in (*vars(part), *part.__annotations__)}
    return {name for name in names if not name.startswith(("_", "model_"))}


def test_what_a_class_can_define_is_listed() -> None:
    listed: dict[str, set[str]] = {}
    for base, names, _ in rows(section("docs/write-a-source.md", "## What a class can define").partition("\n### ")[0]):
        listed.setdefault(base.strip("`"), set()).update(re.findall(r"`(\w+)", names))
    shared = overridable(sdk.Source)
    assert listed["Source"] == shared
    for cls in (sdk.Timer, sdk.Poller, sdk.Listener):
        assert listed[cls.__name__] == overridable(cls) - shared, cls.__name__


def test_every_field_of_event_and_context_is_explained() -> None:
    text = section("docs/write-a-source.md", "## What a class can define")
    events, _, context = text.partition("### The context")
    named = set(re.findall(r"`(\w+)", context.partition("###")[0]))
    assert {field.name for field in fields(sdk.Context)} <= named
    assert {field.name for field in fields(sdk.Event) if not re.search(rf"\b{field.name}\b", events)} == set()


@pytest.mark.parametrize("kind", ["SampleSource", "CronSource", "PollSource", "WebhookSource"])
def test_the_page_of_a_kind_lists_its_fields(kind: str) -> None:
    text = page(f"docs/sources/{kind.removesuffix('Source').lower()}.md")
    model_fields = kind_named(kind, "adapter.sources").source_class.model_fields
    own = {field.alias or name for name, field in model_fields.items()}
    tables = names_in_first_cells(text, r"[A-Za-z.]+")
    listed = {name.partition(".")[0] for name in tables}
    assert own <= listed


def test_the_sdk_reference_has_every_public_name() -> None:
    text = page("docs/sdk.md")
    for name in (*sdk.__all__, "Sink", "SinkReply", "RESET", "VirtualClock"):
        assert f"\n### {name}\n" in text
    for cls in (sdk.Source, sdk.Timer, sdk.Poller, sdk.Listener):
        missing = {name for name in overridable(cls) if f"`{name}" not in text}
        assert not missing, cls


class Recorded(dict[str, str]):
    """An environment that records which variables are read."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.names_read: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names_read.add(name)
        return super().get(name, default)


def test_the_settings_table_is_what_the_hook_reads() -> None:
    environ = Recorded({"ADAPTER_IMAGE": "a:1"})
    read_settings(environ)
    assert names_in_first_cells(page("docs/reference/settings.md"), "[A-Z_]+") == environ.names_read


def test_the_environment_tables_are_what_an_adapter_and_a_pool_read() -> None:
    of_adapter, _, of_pool = page("docs/reference/environment.md").partition("## The process of a SourcePool")
    pool = Recorded({})
    PoolEnv.from_environ(pool)
    assert names_in_first_cells(of_pool, "[A-Z_]+") == pool.names_read
    environ = Recorded({"K_SINK": "http://h", "EVENT_SOURCE": "/a/b"})
    AdapterEnv.from_environ(environ)
    listed = names_in_first_cells(of_adapter, "[A-Z_]+")
    assert "SOURCE_SECRET_" in listed
    read = {name.upper() for name in environ.names_read}  # proxies also in lower case
    assert listed - {"SOURCE_SECRET_", "OTEL_"} == {name for name in read if not name.startswith("SOURCE_SECRET_")}


def test_every_condition_type_and_reason_of_the_hook_is_listed() -> None:
    table = section("docs/operate.md", "## Conditions")
    assert {name for name in (*ConditionType, *Reason) if f"`{name}`" not in table} == set()


def test_every_reason_that_explain_can_name_is_listed() -> None:
    listed = set[str]()
    for title, column in (("## READY stays empty", 1), ("## Troubleshooting", 1), ("### Reasons", 1)):
        listed |= {cells[column].strip("`") for cells in rows(section("docs/operate.md", title)) if len(cells) == 4}
    assert listed - {"reason", "reason of `sources explain"} == set(TABLE)


LOG_CALL = (
    r'(?:log|throttle|rejections|self)\.(?:debug|info|warning|error|recovered|_warn|log)\(\s*(?:[\w.]+, )?"([^"]+)"'
)


@pytest.mark.parametrize(
    ("title", "directories", "least"),
    [
        ("### Log messages of an adapter", ["adapter"], 15),
        ("### Log messages of the hook", ["hooks", "adapter/serving"], 5),
    ],
)
def test_log_messages_are_those_of_the_code(title: str, directories: list[str], least: int) -> None:
    files = (file for directory in directories for file in (ROOT / directory).rglob("*.py"))
    code = "".join(file.read_text() for file in files)
    logged = set(re.findall(LOG_CALL, code)) - {"%s"}
    if directories[0] == "hooks":
        logged -= {"K_LOGGING_CONFIG is invalid; the level is info"}  # of an adapter
    assert len(logged) >= least
    listed = names_in_first_cells(section("docs/operate.md", title), "[^`]+") - {"msg"}
    assert logged <= listed
    assert {message for message in listed if f'"{message}"' not in code} == set()


def test_the_retry_table_is_the_one_of_the_adapter() -> None:
    """A code is looked up in the rows from the top; the last row is for all others."""
    _, *table = rows(section("docs/delivery.md", "## What is retried"))

    def documented(code: int) -> str:
        exact = (meaning for codes, meaning in table if str(code) in re.findall(r"\d{3}", codes))
        family = (meaning for codes, meaning in table if codes == f"{code // 100}xx")
        return next(exact, None) or next(family, None) or table[-1][1]

    words = {Disposition.ACCEPT: "delivered", Disposition.RETRY: "retried", Disposition.REJECT: "refused; no retry"}
    for code in range(200, 600):
        assert documented(code) == words[disposition(code)], code


def test_the_delivery_defaults_are_those_of_the_adapter() -> None:
    block = next(other for other in blocks("docs/delivery.md", "## Policy") if other.language == "yaml")
    assert read_policy(yaml.safe_load(block.text)["spec"]["delivery"]) == Policy()


def test_the_flags_of_metacontroller_are_those_of_the_generated_manifests() -> None:
    _, *table = rows(section("docs/install.md", "## Many sources"))
    assert {f"{flag}={value}".replace("`", "") for flag, value in table} == set(TUNED_FLAGS)
    _, *table = rows(section("docs/metacontroller.md", "## Flags"))
    assert f"{table[0][0]}={table[0][1].split()[0]}".replace("`", "") == FLAGS[0]
    assert METACONTROLLER_IMAGE in page("docs/metacontroller.md")


@pytest.mark.parametrize(("package", "column"), [("hooks", 0), ("adapter", 1), ("sources_cli", 1)])
def test_every_module_and_package_has_its_place_in_the_architecture(package: str, column: int) -> None:
    _, *table = rows(section("docs/architecture.md", f"### {package}"))
    listed = {name for cells in table for name in re.findall(r"`(\w+)`", cells[column])} | {"__main__"}
    folders = {file.parent.name for file in (ROOT / package).glob("*/__init__.py")}
    modules = {file.stem for file in (ROOT / package).glob("*.py")} - {"__init__"}
    assert listed == folders | modules


def test_kubernetes_and_metacontroller_versions_agree_on_all_pages() -> None:
    text = "".join(map(page, page_names()))
    assert set(re.findall(r"Kubernetes (?:\| )?(\d+\.\d+)", text)) == {"1.30"}
    assert set(re.findall(r"Metacontroller (?:\| )?(\d+\.\d+)", text)) == {"4.17"}
