"""Make this source tree look installed: entry points as in a wheel, independent of the environment."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environ_with(site: Path) -> dict[str, str]:
    """The environment in which commands import this tree and pytest loads its plugin. Creates ``site``."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    info = site / "this_tree-1.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: this-tree\nVersion: 1\n")
    lines = [f"{name} = {module}\n" for name, module in points.items()]
    info.joinpath("entry_points.txt").write_text("".join(["[pytest11]\n", *lines]))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": f"{ROOT}:{site}"}
