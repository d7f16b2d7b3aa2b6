"""Write the parts of the pages that come from the code: between ``<!-- generated: NAME -->`` and ``<!-- end -->``.

``python docs/generate.py`` writes them. With ``--check`` it writes nothing, and exit code 1 means that a page is not
current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))
sys.path.insert(0, str(DOCS))

REGION = re.compile(r"<!-- generated: (?P<name>[\w-]+) -->\n(?P<text>.*?)<!-- end -->", re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    stale = [page for page in sorted(DOCS.rglob("*.md")) if page.read_text() != filled(page.read_text())]
    for page in stale:
        if "--check" in arguments:
            print(f"{page.relative_to(DOCS.parent)} is not current: run python docs/generate.py", file=sys.stderr)
        else:
            page.write_text(filled(page.read_text()))
            print(f"{page.relative_to(DOCS.parent)} written")
    return 1 if stale and "--check" in arguments else 0


def filled(page: str) -> str:
    """The page with current regions."""
    return REGION.sub(_region, page)


def _region(found: re.Match[str]) -> str:
    return f"<!-- generated: {found['name']} -->\n{REGIONS[found['name']]()}<!-- end -->"


def environment() -> str:
    from adapter.contract.environment import reference

    rows = ((f"`{row.name}`", row.description, row.default, row.set_by) for row in reference())
    return table(("variable", "value", "if absent", "set by"), rows)


def pool_environment() -> str:
    from adapter.contract.declarations import reference_of
    from adapter.pool.settings import PoolEnv

    rows = ((f"`{row.name}`", row.description, row.default) for row in reference_of(PoolEnv))
    return table(("variable", "value", "if absent"), rows)


def settings() -> str:
    from hooks.settings import reference

    rows = ((f"`{name}`", default, text) for name, default, text in reference())
    return table(("variable", "default", "meaning"), rows)


def cli() -> str:
    import typer

    from sources_cli.commands import app

    tool: Any = typer.main.get_command(app)
    options = table(("option", "meaning"), [(_option(one), one.help) for one in tool.params])
    commands = (f"## sources {name}\n\n{_command(command)}" for name, command in tool.commands.items())
    return "\n".join([f"## sources\n\n{tool.help}\n\n`sources COMMAND`\n\n{options}", *commands])


def _command(command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = " ".join(f"{one.metavar}{'…' if one.nargs == -1 else ''}" for one in arguments)
    rows = [(f"`{one.metavar}`", one.help, "required") for one in arguments]
    rows += [(_option(one), one.help, _default(one)) for one in options]
    call = " ".join(["sources", command.name, *(["[OPTIONS]"] if options else []), *([usage] if usage else [])])
    parts = " ".join(command.help.split()), f"`{call}`", table(("argument", "meaning", "default"), rows)
    return "\n\n".join(parts)


def _option(option: Any) -> str:
    """``-o``, ``--output text|yaml|json``, as in the help; a flag has no value."""
    names = ", ".join(f"`{name}`" for name in option.opts)
    annotation = option.type_descriptor.annotation
    value = option.metavar or "|".join(get_args(annotation) if get_origin(annotation) is Literal else ())
    return names if option.is_flag or not value else f"{names[:-1]} {value}`"


def _default(option: Any) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    default = "" if option.is_flag or option.default is None else f"`{option.default}`"
    return f"`${option.envvar}`, else {default}" if option.envvar else default


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a column without any text is left out."""
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    kept = [n for n in range(len(head)) if any(row[n] for row in cells)]
    lines = ["|" + "|".join(f" {row[n]} " if row[n] else " " for n in kept) + "|" for row in (head, *cells)]
    return "\n".join([lines[0], "|" + "---|" * len(kept), *lines[1:], ""])


def spec() -> str:
    from sources_cli.schema.shared_spec import SharedSpec
    from sources_cli.schema.structural import structural

    schema = structural(SharedSpec.model_json_schema())
    return table(("field", "default", "meaning"), _spec_rows(schema))


def _spec_rows(schema: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """The members of ``schema`` and theirs, without those that another table has.

    These are the members of a dead letter sink, of a pod, and of a reference to a Secret or ConfigMap.
    """
    for name, member in schema.get("properties", {}).items():
        default = f"`{member['default']}`" if "default" in member else ""
        yield f"`{path}{name}`", default, member["description"]
        is_elsewhere = name.startswith("deadLetterSink") or path == "adapter."
        if not is_elsewhere and "secretKeyRef" not in member.get("properties", {}):
            yield from _spec_rows(member, f"{path}{name}.")


def sdk() -> str:
    from docstrings import sdk

    return sdk(table)


def ready_empty() -> str:
    from sources_cli.cluster.reasons.entry import READY_EMPTY

    return _faults(lambda docs: docs == READY_EMPTY)


def faults() -> str:
    from sources_cli.cluster.reasons.entry import READY_EMPTY

    return _faults(lambda docs: docs != READY_EMPTY)


def _faults(is_here: Callable[[str], bool]) -> str:
    from sources_cli.cluster.reasons.table import TABLE

    rows = (
        (entry.seen, f"`{reason}`", entry.when, _linked(entry))
        for reason, entry in TABLE.items()
        if entry.seen and is_here(entry.docs)
    )
    return table(("what you see", "reason of `sources explain`", "cause", "what to do"), rows)


def _linked(entry: Any) -> str:
    """What to do, with a link to the section that says more."""
    page = entry.docs.removeprefix("docs/").removeprefix("operate.md")
    return entry.todo if page in ("#troubleshooting", "#ready-stays-empty") else f"{entry.todo} [More]({page})"


def reasons() -> str:
    from sources_cli.cluster.reasons.table import TABLE

    entries = [(reason, entry) for reason, entry in TABLE.items() if entry.condition]
    order = ("SinkProvided", "Deployed", "Ready")
    entries.sort(key=lambda pair: order.index(pair[1].condition.split()[0].rstrip(",")))
    rows = ((entry.condition, f"`{reason}`", entry.when, entry.todo) for reason, entry in entries)
    return table(("condition, status", "reason", "when", "what to do"), rows)


def kind() -> str:
    """The kind of the tests, so that the page shows code that runs."""
    return f"```python\n{(DOCS.parent / 'tests/kinds/queue_depth_source.py').read_text()}```\n"


REGIONS: dict[str, Callable[[], str]] = {
    "environment": environment,
    "pool-environment": pool_environment,
    "settings": settings,
    "spec": spec,
    "cli": cli,
    "sdk": sdk,
    "kind": kind,
    "ready-empty": ready_empty,
    "faults": faults,
    "reasons": reasons,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
