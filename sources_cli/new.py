"""``sources new`` and ``sources image``: what a kind of one's own starts from. Nothing that exists is overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adapter.loading import module_name
from hooks.names import kebab
from sources_cli.generate import templates
from sources_cli.kind import check_name
from sources_cli.problem import Problem

PACKAGE = "kinds"
IMAGE = "registry.local/sample-source:dev"


@dataclass(frozen=True)
class NewOptions:
    kind: str
    way: Literal["timer", "poll", "listen"] = "timer"


@dataclass(frozen=True)
class ImageOptions:
    package: str = PACKAGE
    image: str = IMAGE


async def new(options: NewOptions) -> int:
    """The kind's own files must not be there; those of the directory are written with its first kind."""
    check_name(options.kind)
    module = module_name(options.kind)
    words = kebab(options.kind).removesuffix("-source")
    texts = {
        "type": f"com.example.{words.replace('-', '.')}",
        "image": f"registry.local/{words}:dev",
        "run": templates.filled(templates.RUNS[options.way], module=module),
        "cluster": templates.CLUSTERS[options.way],
    }
    code, test = templates.MODULES[options.way]
    own = {Path(PACKAGE, f"{module}.py"): code, Path("tests", f"test_{module}.py"): test}
    shared = {Path("README.md"): templates.README, Path("sink.yaml"): templates.SINK}
    if options.way == "poll":
        shared[Path("list.json")] = templates.LIST
    for path in own:
        if path.exists():
            raise Problem(f"{path} exists; choose another name, or take the file away")
    for path, text in {**own, **shared}.items():
        if path in shared and path.exists():
            print(f"{path} is there already and stays as it is")
            continue
        _write(path, templates.filled(text, kind=options.kind, module=module, **texts))
        print(f"{path} written")
    return 0


async def image(options: ImageOptions) -> int:
    directory = options.package.replace(".", "/")
    text = templates.filled(templates.DOCKERFILE, image=options.image, package=options.package, directory=directory)
    print(text, end="")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from None
