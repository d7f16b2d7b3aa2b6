"""Links and anchors work on a plain Git host, generated parts are current, and the site loads only its own files."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.deadline import DEADLINE_S
from tests.pages import ROOT, anchors, links, page, page_names

LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


@pytest.mark.parametrize("name", page_names())
def test_relative_links_and_anchors_exist(name: str) -> None:
    for link in links(name):
        path, _, anchor = link.partition("#")
        if re.match(r"https?://", link):
            continue
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(ROOT))), f"{link}: no such heading"


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in links("README.md")}
    assert set(page_names()) - {"README.md"} <= linked


def test_troubleshooting_is_one_link_away() -> None:
    assert "docs/operate.md#ready-stays-empty" in links("README.md")
    headings = re.findall(r"^## (.*)$", page("docs/operate.md"), re.MULTILINE)
    assert headings[:2] == ["What is wrong with a source", "READY stays empty"]


@pytest.mark.parametrize("name", page_names())
def test_pages_use_plain_markdown_only(name: str) -> None:
    assert not re.search(r"^(!!!|\?\?\?|:::|=== \"|\{%)", page(name), re.MULTILINE), "syntax of one site generator"


def test_generated_parts_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


class Loads(HTMLParser):
    """What a browser fetches when it opens a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if url := dict(attrs).get(LOADS.get(tag, "")):
            self.urls.append(url)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as ``make docs`` does, elsewhere."""
    directory = tmp_path_factory.mktemp("site")
    [command] = re.findall(r"^\t.*\$\(BIN\)/(mkdocs build .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    words = [str(Path(sys.executable).parent / "mkdocs"), *command.split()[1:], "--site-dir", str(directory)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return directory


def test_the_site_has_every_page(site: Path) -> None:
    expected = {name.removeprefix("docs/").replace(".md", ".html") for name in page_names()} - {"README.html"}
    built = {str(file.relative_to(site)) for file in site.rglob("*.html")}
    assert expected | {"index.html", "changelog.html"} <= built
    assert not list(site.rglob("*.py*"))


def test_the_site_loads_nothing_from_other_hosts(site: Path) -> None:
    for file in site.rglob("*.html"):
        loads = Loads()
        loads.feed(file.read_text())
        assert loads.urls
        assert [url for url in loads.urls if re.match(r"(https?:)?//", url)] == [], file
    for file in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", file.read_text()), file
