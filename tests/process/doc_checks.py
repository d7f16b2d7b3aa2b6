"""How each kind of code block in README.md and docs/ is checked. A block that has no checker fails its test."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sources_cli.admission.adapter_defaults import read_adapter_defaults
from tests.deadline import DEADLINE_S
from tests.installed import environ_with
from tests.pages import ROOT, Block, blocks
from tests.process.sources import sources

QUICKSTART = ROOT / "metacontroller/samples/quickstart.yaml"
DIAGRAMS = {"README.md": 1, "docs/architecture.md": 1}  # page -> how many blocks without a language it has

_COMMANDS, _E2E = "tests/process/test_docs_commands.py", "tests/e2e/test_quickstart.py"
_OWN_KIND = f"{_COMMANDS}::test_own_kind_commands_work_in_an_empty_directory"
_QUICKSTART = f"{_E2E}::test_install_commands_show_events_in_the_log_of_the_display"
_RELEASE = "tests/process/test_release.py"
_OPERATE = f"{_E2E}::test_commands_to_operate_and_upgrade_work"
_HELM = "tests/e2e/test_helm.py::test_three_helm_commands_show_the_first_event"
_INSTALLATION = "tests/e2e/installation.py::"
# What a command looks like -> the test that runs it. Kubernetes objects and files in a command are checked here, too.
COVERED_BY = {
    r"make run": f"{_COMMANDS}::test_make_run_shows_events",
    r"make release VERSION=\S+": f"{_RELEASE}::test_release_writes_the_version_and_the_heading_but_commits_nothing",
    r"(git checkout v[\d.]+|make dist)": f"{_RELEASE}::test_tag_of_a_release_gives_the_same_bytes_elsewhere",
    r"sha256sum --check SHA256SUMS": f"{_RELEASE}::test_release_has_packages_chart_manifests_sbom_and_checksums",
    r"make [\w-]+": f"{_COMMANDS}::test_every_make_target_of_the_pages_exists",
    r"sources run --for 5s metacontroller/samples/quickstart.yaml": f"{_COMMANDS}::test_sources_run_stops_by_itself",
    r"sources run --for 10s metacontroller/samples/pool.yaml .*": "tests/process/test_sources_run_pool.py::"
    "test_one_process_runs_all_sources_of_the_kind_and_is_filled_again_after_its_end",
    r"sources run --once .* metacontroller/samples/cron.yaml": "tests/process/test_cron.py::"
    "test_command_of_the_page_sends_an_event",
    r"sources run --package metacontroller.samples.kinds .*": "tests/process/test_samples.py::"
    "test_github_sample_runs_and_accepts_only_signed_requests",
    r"sources lint bad.yaml": f"{_COMMANDS}::test_lint_prints_what_the_page_shows",
    r"sources render .*": f"{_COMMANDS}::test_render_and_the_help_of_the_display_work",
    r"python -m adapter.display --help": f"{_COMMANDS}::test_render_and_the_help_of_the_display_work",
    r"sources manifests .* --checkpoint .*": (
        "tests/process/test_adapter_defaults.py::test_default_checkpoint_reaches_manifests_render_and_lint"
    ),
    r"sources manifests .* --adapter-defaults .*": f"{_COMMANDS}::test_file_of_defaults_reaches_the_hook",
    r"sources manifests adapter.sources.sample_source .*": f"{_COMMANDS}::test_sink_kinds_reach_hook_and_role",
    r"sources (new|manifests kinds/|lint --package kinds|run --package kinds|image).*": _OWN_KIND,
    r"sources (explain|list|events) ?.*": "tests/cluster/test_explain.py::"
    "test_commands_of_the_pages_explain_and_list_sources",
    r"python -m pytest tests": _OWN_KIND,
    r"for kind in .*": f"{_COMMANDS}::test_the_loop_makes_the_manifests_of_each_kind",
    r"(docker|buildah) build.* (python:[\d.]+-slim|--build-arg BASE=.*)": "tests/process/test_docs.py::"
    "test_the_base_image_is_one_build_argument",
    r"docker build --build-arg LOCK=.*": "tests/process/test_docs.py::"
    "test_the_default_image_has_no_packages_for_traces",
    r"docker build -t registry.local/doorbell:dev .": "tests/e2e/test_own_kinds.py::"
    "test_documented_commands_create_install_and_run_a_new_kind",
    r"docker (build|push) .*registry.example.com/sample-source:v1.*": f"{_COMMANDS}::test_the_settings_name_the_image",
    r"openssl .*|kubectl create namespace sample-source|kubectl -n sample-source create secret .*": (
        "tests/cluster/test_trust_page.py::test_commands_of_the_page_make_what_the_hook_and_its_caller_need"
    ),
    r"kubectl (apply|wait) .*(manifests/doorbell_source).*": "tests/e2e/test_own_kinds.py::"
    "test_documented_commands_create_install_and_run_a_new_kind",
    r"helm (install .*|upgrade .*quickstart.*)": _HELM,
    r"helm .*": "tests/e2e/test_helm.py::test_upgrade_rollback_and_uninstall_lose_no_event_and_refuse_no_caller",
    r"kubectl get crd,.*": "tests/e2e/test_helm.py::test_uninstallation_leaves_nothing",
    r"kubectl .*(metacontroller-crds-v1.yaml|metacontroller/metacontroller|deployment/metacontroller)": (
        f"{_INSTALLATION}with_metacontroller"
    ),
    r"kubectl (apply|wait|get|explain) .*": _QUICKSTART,
    r"kubectl logs deployment/event-display": _QUICKSTART,
    r"kubectl (describe|logs|rollout) .*": _OPERATE,
    r"kubectl patch samplesource hello .*": "tests/e2e/test_suspend.py::test_commands_suspend_and_resume_a_source",
    r"kubectl delete .*": f"{_INSTALLATION}installation",
    r"ADAPTER_IMAGE=\S+ .venv/bin/python -m hooks": f"{_COMMANDS}::test_the_hook_starts_with_the_settings_of_the_page",
    r"printf '/s.*": f"{_COMMANDS}::test_the_shell_computes_the_trace_of_an_event",
    r"curl -s .*": f"{_COMMANDS}::test_the_curl_call_gets_a_deployment_and_a_status",
}


def check_console(block: Block, directory: Path) -> None:
    assert block.commands, "a console block holds commands, each after a `$ `"
    for command in block.commands:
        test = next((test for pattern, test in COVERED_BY.items() if re.fullmatch(pattern, command)), None)
        assert test, f"no test runs `{command}`; add one to COVERED_BY"
        path, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(), f"{test} does not exist"
        for file in re.findall(r" -[fk] (metacontroller/\S+)", command):
            assert (ROOT / file).exists(), f"`{command}`: {file} does not exist"
        objects = re.findall(r" (\w+/[\w.-]+)(?= |$)", command) if command.startswith("kubectl") else []
        for name in [one for one in objects if not one.startswith(("metacontroller/", "manifests/"))]:
            assert name in _objects(), f"`{command}`: there is no {name}"


def check_yaml(block: Block, directory: Path) -> None:
    """Sources, and parts of a ``spec``, are what lint accepts. Other YAML is a file of ``--adapter-defaults``.

    A source refers to keys that Secrets beside it have, and to claims beside it.
    """
    documents = list(yaml.safe_load_all(block.text))
    if all(str(document.get("apiVersion")).startswith("cert-manager.io/") for document in documents):
        return check_certificates(documents)
    if [document.get("kind") for document in documents] == ["Kustomization"]:
        return check_kustomization(documents[0])
    claims = [document for document in documents if document.get("kind") == "PersistentVolumeClaim"]
    for claim in claims:
        assert f"claimName: {claim['metadata']['name']}" in block.text, "no field refers to the claim"
    documents = [document for document in documents if document not in claims]
    secrets = [document for document in documents if document.get("kind") == "Secret"]
    for secret in secrets:
        for key in secret["stringData"]:
            assert f"{{name: {secret['metadata']['name']}, key: {key}}}" in block.text, f"no field refers to {key}"
    for document in [document for document in documents if document not in secrets]:
        if not {"kind", "spec"} & document.keys():
            file = directory / "defaults.yaml"
            file.write_text(block.text)
            assert read_adapter_defaults(file) == document
            continue
        document = document if "kind" in document else source_with(document)
        assert document["kind"].endswith("Source"), f"no check for {document['kind']}"
        file = directory / "block.yaml"
        file.write_text(yaml.safe_dump(document))
        done = sources("lint", file)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def check_certificates(documents: list[Any]) -> None:
    """Of cert-manager: each issuer exists, and the Secrets are those of the hook."""
    ca_secrets = {document["spec"]["ca"]["secretName"] for document in documents if "ca" in document["spec"]}
    certificates = [document["spec"] for document in documents if document["kind"] == "Certificate"]
    issuers = {document["metadata"]["name"] for document in documents if document["kind"] == "Issuer"}
    assert {each["issuerRef"]["name"] for each in certificates} == issuers
    made = {each["secretName"]: each for each in certificates}
    assert set(made) == ca_secrets | {"sources-hook-tls", "sources-hook-client-tls"}
    assert made["sources-hook-tls"]["dnsNames"] == ["sources-hook.sample-source"]


def check_kustomization(document: Any) -> None:
    """An overlay beside the others, which the cluster tests build and apply."""
    for path in [*document["resources"], *document.get("components", [])]:
        assert (ROOT / "metacontroller/overlays/own" / path).resolve().is_dir(), f"{path} does not exist"
    assert "## Divide the sources" in (ROOT / "tests/cluster/test_sharding.py").read_text()


def check_python(block: Block, directory: Path) -> None:
    """A kind makes manifests; tests pass beside the kind before them on the page."""
    on_page = [other for other in blocks(block.page) if other.language == "python"]
    kinds = {
        name: other.text for other in on_page for name in re.findall(r"^class (\w+Source)\(", other.text, re.MULTILINE)
    }
    (directory / "kinds").mkdir()
    (directory / "tests").mkdir()
    for name, text in kinds.items():
        (directory / f"kinds/{_snake_case(name)}.py").write_text(text)
    if "\ndef test_" in block.text:
        (directory / "tests/test_block.py").write_text(block.text)
        words, environ = [sys.executable, "-m", "pytest", "-q", "tests"], environ_with(directory / "site")
        done = subprocess.run(
            words, cwd=directory, env=environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return
    names = re.findall(r"^class (\w+Source)\(", block.text, re.MULTILINE)
    assert names, "neither a kind nor a test"
    for name in names:
        module = f"kinds/{_snake_case(name)}.py"
        done = sources("manifests", module, "-o", "manifests", cwd=directory)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        done = sources("lint", "--package", "kinds", "manifests/sample.yaml", cwd=directory)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def check_dockerfile(block: Block, directory: Path) -> None:
    """What ``sources image`` prints; a stage before it may add a library to ``lib``."""
    done = sources("image")
    if "COPY --from" not in block.text:
        assert block.text == done.stdout
        return
    stage, final = block.text.splitlines()[:2], block.text.splitlines()[2:]
    assert re.fullmatch(r"FROM python:[\d.]+-slim AS packages", stage[0])
    [base] = re.findall(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert stage[0].split()[1] == base, "the library is for the image's Python"
    assert stage[1].split()[:4] == ["RUN", "pip", "install", "--target"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not any(one.startswith(stage[1].split()[-1]) for one in project["dependencies"]), "the image has it"
    assert "\n".join([line for line in final if not line.startswith("COPY --from")]) + "\n" == done.stdout


def check_json(block: Block, directory: Path) -> None:
    """A SOURCE_CONFIG that an adapter reads."""
    from adapter.contract.environment import AdapterEnv

    environ = {"K_SINK": "http://h", "SOURCE_CONFIG": block.text, "SOURCE_SECRET_0": "s3cret"}
    assert set(AdapterEnv.from_environ({"EVENT_SOURCE": "/a/b", **environ}).source_fields()) == set(
        json.loads(block.text)
    )


def check_diagram(block: Block, directory: Path) -> None:
    """Nothing to run: a drawing of boxes."""
    assert "┌" in block.text
    drawn = [other for other in blocks(block.page) if not other.language]
    assert len(drawn) == DIAGRAMS.get(block.page, 0), "a block without a language is a diagram; name the language"


CHECKS: dict[str, Callable[[Block, Path], None]] = {
    "console": check_console,
    "yaml": check_yaml,
    "python": check_python,
    "dockerfile": check_dockerfile,
    "json": check_json,
    "": check_diagram,
}


def _objects() -> set[str]:
    """kind/name of what the install page applies, and of the CRD."""
    files = [file for part in ("base", "metacontroller") for file in (ROOT / "metacontroller" / part).glob("*.yaml")]
    files += [QUICKSTART, ROOT / "metacontroller/sources/sample_source/crd.yaml"]
    documents = [
        document for file in files for document in yaml.safe_load_all(file.read_text()) if document.get("metadata")
    ]
    names = {f"{document['kind'].lower()}/{document['metadata']['name']}" for document in documents}
    return names | {name.replace("customresourcedefinition/", "crd/") for name in names}


def _quickstart_source() -> dict[str, Any]:
    *_, source = yaml.safe_load_all(QUICKSTART.read_text())
    return dict(source)


def source_with(part: dict[str, Any]) -> dict[str, Any]:
    """The source of the quickstart with the fields of ``part``."""
    assert list(part) == ["spec"], "a part of a source begins with spec"
    source = _quickstart_source()
    return {**source, "spec": {**source["spec"], **part["spec"]}}


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
