"""Hooks of mkdocs: make README.md, CHANGELOG.md and LICENSE pages of the site, so that each text exists once."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    readme = (ROOT / "README.md").read_text().replace("](docs/", "](").replace("](CHANGELOG.md", "](changelog.md")
    files.append(File.generated(config, "index.md", content=readme))
    files.append(File.generated(config, "changelog.md", content=(ROOT / "CHANGELOG.md").read_text()))
    files.append(File.generated(config, "LICENSE", content=(ROOT / "LICENSE").read_text()))
    return files
