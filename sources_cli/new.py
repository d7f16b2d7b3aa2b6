"""``sources new`` and ``sources image``: create the files of a new kind. No existing file is overwritten."""

from __future__ import annotations

from pathlib import Path

from adapter.contract.kind_names import kebab
from adapter.loading import module_name
from sources_cli.arguments import OWN_PACKAGE
from sources_cli.generate import templates
from sources_cli.kind import check_name
from sources_cli.problem import Problem
from sources_cli.screen import stdout


async def new(kind: str, template: str) -> int:
    """``template``: a key of ``templates.MODULES``. Keeps the README and the sink of another kind in the directory."""
    check_name(kind)
    module = module_name(kind)
    own, shared = _files(kind, module, template)
    for path in own:
        if path.exists():
            raise Problem(f"{path} already exists; choose another name, or delete the file")
    for path, text in {**own, **shared}.items():
        if path in shared and path.exists():
            stdout.show(f"{path} kept (it already exists)")
        else:
            _write(path, text)
            stdout.show(f"{path} written")
    return 0


async def image(package: str, base: str) -> int:
    directory = package.replace(".", "/")
    stdout.show_text(templates.filled(templates.DOCKERFILE, image=base, package=package, directory=directory))
    return 0


def _files(kind: str, module: str, template: str) -> tuple[dict[Path, str], dict[Path, str]]:
    """Path -> text of the files of this kind, and of those that all kinds in the directory share."""
    words = kebab(kind).removesuffix("-source")
    values = {
        "kind": kind,
        "module": module,
        "type": f"com.example.{words.replace('-', '.')}",
        "image": f"registry.local/{words}:dev",
        "cluster": templates.CLUSTERS[template],
    }
    values["run"] = templates.filled(templates.RUNS[template], **values)
    code, test = templates.MODULES[template]
    own = {Path(OWN_PACKAGE, f"{module}.py"): code, Path("tests", f"test_{module}.py"): test}
    shared = {Path("README.md"): templates.README, Path("sink.yaml"): templates.SINK}
    if template == "poll":
        shared[Path("list.json")] = templates.LIST
    if template == "stream":
        shared[Path("lines.py")] = templates.LINES
    filled = [{path: templates.filled(text, **values) for path, text in files.items()} for files in (own, shared)]
    return filled[0], filled[1]


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from None
