"""``sources lint``: checks the sources in files as the API server does, and then with the class of the kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from adapter.contract.formats import Json
from hooks.checkpoint import Checkpoint
from sources_cli.admission import yaml
from sources_cli.admission.adapter_defaults import read_checkpoint_default
from sources_cli.admission.class_checks import class_violations
from sources_cli.admission.documents import NO_SOURCE, check_object, is_pool, needs_kind, read_yaml
from sources_cli.admission.pod_checks import pod_violations
from sources_cli.admission.resource import object_violations, pool_violations
from sources_cli.admission.validate import unchecked_rules
from sources_cli.arguments import files_of
from sources_cli.kind import kind_named
from sources_cli.problem import Problem
from sources_cli.schema.crd import object_schema
from sources_cli.schema.pool_crds import POOL
from sources_cli.screen import stdout


@dataclass(frozen=True)
class LintOptions:
    files: Sequence[Path]
    output: str = "text"
    package: str = "adapter.sources"
    checkpoint: str | None = None  # the default of the cluster: a file, or the map itself


@dataclass(frozen=True)
class Finding:
    file: str
    line: int
    kind: str
    name: str  # <namespace>/<name>
    message: str


async def lint(options: LintOptions) -> int:
    """Prints the findings, and the problems of files that cannot be read.

    Returns the exit code: 0 if every source would be accepted, 1 if not, 2 if a file or document cannot be read.
    """
    default = read_checkpoint_default(options.checkpoint)
    findings, problems = list[Finding](), list[Problem]()
    checked, unchecked = Counter[str](), set[str]()
    for file in files_of(options.files):
        for document in _readable(file, problems):
            if is_pool(document.value):
                checked[POOL] += 1
                findings += _pool_findings(str(file), document)
            elif needs_kind(document.value, options.package):
                checked["source"] += 1
                findings += _findings(str(file), document, options.package, default, unchecked)
    if not checked and not problems:
        raise Problem(f"{', '.join(map(str, options.files))}: {NO_SOURCE}")
    if checked and (findings or not problems or options.output != "text"):
        _print(findings, checked, options.output)
    for problem in problems:
        for line in str(problem).splitlines():
            stdout.complain(f"sources: {line}")
    for rule in sorted(unchecked):
        stdout.complain(f"rule not checked: {rule}")
    return 2 if problems else 1 if findings else 0


def _readable(file: Path, problems: list[Problem]) -> Iterator[yaml.YamlDocument]:
    """The Kubernetes objects of a file. Adds what cannot be read to ``problems``."""
    try:
        documents = read_yaml(file)
    except Problem as problem:
        problems.append(problem)
        return
    for document in documents:
        try:
            check_object(file, document)
        except Problem as problem:
            problems.append(problem)
        else:
            yield document


def _findings(
    file: str, document: yaml.YamlDocument, package: str, default: Checkpoint | None, unchecked: set[str]
) -> Iterator[Finding]:
    """``default``: for spec.checkpoint. Adds the rules that lint cannot evaluate to ``unchecked``."""
    value = document.value
    place = _place(value)
    try:
        kind = kind_named(value["kind"], package).in_cluster(default)
    except Problem as problem:
        yield Finding(file, document.line(("kind",)), value["kind"], place, str(problem))
        return
    unchecked.update(unchecked_rules(object_schema(kind)))
    for violation in object_violations(kind, value) or [*class_violations(kind, value), *pod_violations(kind, value)]:
        yield Finding(file, document.line(violation.path), kind.name, place, violation.text)


def _pool_findings(file: str, document: yaml.YamlDocument) -> Iterator[Finding]:
    value = document.value
    for violation in pool_violations(value):
        yield Finding(file, document.line(violation.path), value["kind"], _place(value), violation.text)


def _place(value: Json) -> str:
    metadata = value.get("metadata") if isinstance(value.get("metadata"), dict) else {}
    name = metadata.get("name") or metadata.get("generateName") or "(no name)"
    return f"{metadata.get('namespace') or 'default'}/{name}"


def _print(findings: Sequence[Finding], checked: Mapping[str, int], output: str) -> None:
    ordered = sorted(findings, key=lambda finding: (finding.file, finding.line))
    if output == "json":
        stdout.show_json(json.dumps([asdict(finding) for finding in ordered], ensure_ascii=False))
    elif output == "yaml":
        stdout.show_text(yaml.dump([[asdict(finding) for finding in ordered]]))
    else:
        for finding in ordered:
            stdout.show(f"{finding.file}:{finding.line}: {finding.kind} {finding.name}: {finding.message}")
        if not findings:
            counts = (f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in checked.items())
            stdout.show(f"{' and '.join(counts)}, no problems")
