"""YAML files: objects or problems of one line each, and values that are written and read again stay the same."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sources_cli.admission import yaml
from sources_cli.admission.class_checks import class_violations
from sources_cli.admission.documents import Files
from sources_cli.admission.resource import object_violations
from sources_cli.kind import kind_named
from sources_cli.problem import Problem
from tests.fuzz.engine import Target
from tests.property.specs import documents, specs

KINDS = {
    name: kind_named(name, "adapter.sources") for name in ("SampleSource", "CronSource", "PollSource", "WebhookSource")
}
FILE = Path(tempfile.mkdtemp(prefix="fuzz-")) / "sources.yaml"


def check(data: bytes) -> None:
    FILE.write_bytes(data)
    try:
        _, problems = Files([FILE], "adapter.sources").read()
    except Problem as problem:
        problems = [str(problem)]
    assert all(line.isprintable() for problem in problems for line in problem.splitlines()), problems
    try:
        read = yaml.load(data.decode())
    except (yaml.BrokenYAML, UnicodeDecodeError):
        return
    values = [document.value for document in read]
    assert json.loads(json.dumps(values)) == values  # each key is a string
    written = yaml.dump(values)
    assert json.dumps([each.value for each in yaml.load(written)]) == json.dumps(values)
    for value in values:
        check_violations(value)


def check_violations(value: Any) -> None:
    kind = KINDS.get(str(value.get("kind"))) if isinstance(value, dict) else None
    if kind and isinstance(value.get("apiVersion"), str):
        for violation in object_violations(kind, value) or class_violations(kind, value):
            assert violation.text


def source(kind: str, metadata: Any, spec: Any) -> dict[str, Any]:
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, "spec": spec}


names = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "../x", "a" * 254, "", 1])}, optional={"labels": documents}
)
sources = st.builds(source, st.sampled_from(sorted(KINDS)), names | documents, specs | documents)


def text_of(values: list[Any]) -> bytes:
    """JSON is YAML."""
    return "\n---\n".join(map(json.dumps, values)).encode()


TARGET = Target(
    "yaml",
    check,
    st.lists(sources | documents, min_size=1, max_size=3).map(text_of),
    (
        b"&a ",
        b"*a",
        b"<<: ",
        b"? ",
        b"!!int ",
        b"!!binary ",
        b"~: ",
        b"|+\n",
        b"- ",
        b": ",
        b"---\n",
        b"%TAG",
        b"0x",
        b".inf",
    ),
)
