"""Links and ids of a feed are absolute where they are links, and repeated elements of an item are lists."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from adapter.sdk import Event
from tests.unit.adapter.polling.polled import found, ok

NAMESPACES = 'xmlns:media="http://search.yahoo.com/mrss/" xmlns:own="http://own.example/"'
RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"'


def rss(*items: str, attributes: str = "") -> bytes:
    listed = "".join(f"<item>{item}</item>" for item in items)
    return f"<rss version='2.0' {NAMESPACES} {attributes}><channel>{listed}</channel></rss>".encode()


def atom(entry: str, attributes: str = "") -> bytes:
    return f'<feed xmlns="http://www.w3.org/2005/Atom" {attributes}><entry>{entry}</entry></feed>'.encode()


def only(feed: bytes, url: str = "http://host/blog/feed.xml", **fields: Any) -> Event:
    (event,) = found(lambda request: ok(feed), url=url, **fields)
    return event


@pytest.mark.parametrize(
    ("element", "id"),
    [
        pytest.param("<guid>/p/1</guid>", "http://host/p/1", id="path"),
        pytest.param("<guid isPermaLink='true'>p/1</guid>", "http://host/blog/p/1", id="relative-path"),
        pytest.param("<guid>//cdn.example/1</guid>", "http://cdn.example/1", id="other-host"),
        pytest.param("<guid>n1</guid>", "n1", id="name"),
        pytest.param("<guid> 17 </guid>", "17", id="number"),
        pytest.param("<guid>?p=17</guid>", "?p=17", id="query"),
        pytest.param("<guid isPermaLink='false'>p/1</guid>", "p/1", id="no-permalink"),
        pytest.param("<guid>tag:host,2026:a/b</guid>", "tag:host,2026:a/b", id="tag"),
        pytest.param("<guid>HTTP://Host:80/a/../b</guid>", "HTTP://Host:80/a/../b", id="absolute"),
        pytest.param("<guid>http://[x/1</guid>", "http://[x/1", id="invalid"),
        pytest.param("<link>/p/1</link>", "http://host/p/1", id="link-instead-of-guid"),
    ],
)
def test_id_of_an_rss_item_is_resolved_only_if_it_is_a_path(element: str, id: str) -> None:
    event = only(rss(element))
    assert (event.id, event.data.get("id", id)) == (id, id)


@pytest.mark.parametrize(
    ("id", "resolved"),
    [
        ("urn:uuid:1", "urn:uuid:1"),
        ("tag:host,2026:/1", "tag:host,2026:/1"),
        ("http:///x//y", "http:///x//y"),
        ("1", "1"),
        ("/1", "http://base.example/1"),
    ],
)
def test_id_of_an_atom_entry_is_resolved_only_if_it_is_a_path(id: str, resolved: str) -> None:
    event = only(atom(f"<id>{id}</id>", 'xml:base="http://base.example/a/"'))
    assert (event.id, event.data["id"]) == (resolved, resolved)


def test_id_of_an_rss_1_item_is_resolved() -> None:
    feed = f'<rdf:RDF {RDF}><channel/><item rdf:about="/p/1"><title>t</title></item></rdf:RDF>'
    assert only(feed.encode()).id == "http://host/p/1"


def test_guid_that_is_no_address_does_not_become_the_link() -> None:
    assert "link" not in only(rss("<guid>n1</guid>")).data
    assert only(rss("<guid>/p/1</guid>")).data["link"] == "http://host/p/1"


def test_all_links_of_an_item_are_resolved() -> None:
    elements = """<guid>1</guid><link>p</link><comments>c</comments><enclosure url="e.mp3"/>
    <source url="s.xml">S</source><media:content url="/m"/><media:thumbnail url="t"/><own:part href="o"/>
    <description>&lt;a href="d"&gt;</description>"""
    data = only(rss(elements)).data
    base = "http://host/blog"
    assert (data["link"], data["comments"], data["source"]["href"]) == (f"{base}/p", f"{base}/c", f"{base}/s.xml")
    assert [link["href"] for link in data["links"]] == [f"{base}/p", f"{base}/e.mp3"]
    assert (data["media_content"], data["media_thumbnail"]) == ([{"url": "http://host/m"}], [{"url": f"{base}/t"}])
    assert data["own_part"] == {"href": f"{base}/o"}
    assert data["summary"] == f'<a href="{base}/d">'


@pytest.mark.parametrize(
    ("outer", "inner", "link"),
    [
        pytest.param("", "", "http://host/blog/y", id="none"),
        pytest.param("http://a.example/x/", "", "http://a.example/x/y", id="feed"),
        pytest.param("x/", "", "http://host/blog/x/y", id="relative"),
        pytest.param("http://a.example/x/", "../z/", "http://a.example/z/y", id="nested"),
    ],
)
def test_xml_base_is_the_base_of_links(outer: str, inner: str, link: str) -> None:
    base = f'xml:base="{outer}"' if outer else ""
    own = f'xml:base="{inner}"' if inner else ""
    feed = atom(f'<id>urn:1</id><link {own} href="y"/><link {own} rel="enclosure" href="y"/>', base)
    assert [each["href"] for each in only(feed).data["links"]] == [link, link]
    item = rss(f'<guid>1</guid><enclosure {own} url="y"/>', attributes=base)
    assert only(item).data["links"][0]["href"] == link


def test_base_of_links_is_the_address_after_redirects_without_its_query() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/latest":
            return httpx2.Response(302, headers={"Location": "http://other.example/day/1?token=hush"})
        return ok(rss('<guid>1</guid><link>p</link><title>t</title><enclosure url="?n=2"/><own:a href="#f"/>'))

    (event,) = found(answer, url="http://host/latest")
    assert event.data["link"] == "http://other.example/day/p"
    assert event.data["links"][1]["href"] == "http://other.example/day/1?n=2"
    assert event.data["own_a"] == {"href": "http://other.example/day/1#f"}
    assert "hush" not in repr(event)


@pytest.mark.parametrize("broken", ["", "<own:x>&nbsp;</own:x>"], ids=["valid", "not-well-formed"])
def test_repeated_elements_of_an_item_are_lists(broken: str) -> None:
    elements = f"""{broken}<guid>1</guid><category>a</category><category>b</category>
    <author>A</author><author>B</author><enclosure url="http://h/1"/><enclosure url="http://h/2"/>
    <comments>http://h/c</comments><comments>http://h/d</comments>
    <own:tag>x</own:tag><own:tag>x</own:tag><own:tag></own:tag><own:one>y</own:one><own:part n="1"/><own:part n="2"/>"""
    second, first = found(rss(elements, "<guid>2</guid><own:tag>z</own:tag>"))
    data = first.data
    assert [tag["term"] for tag in data["tags"]] == ["a", "b"]
    assert [author["name"] for author in data["authors"]] == ["A", "B"]
    assert [link["href"] for link in data["links"]] == ["http://h/1", "http://h/2"]
    assert data["comments"] == ["http://h/c", "http://h/d"]
    assert (data["own_tag"], data["own_one"]) == (["x", "x", ""], "y")
    assert data["own_part"] == [{"n": "1"}, {"n": "2"}]
    assert second.data["own_tag"] == "z"


def test_elements_that_feedparser_merges_stay_texts() -> None:
    publisher = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    elements = (
        "<guid>1</guid><title>a</title><title>b</title><dc:publisher>P</dc:publisher><dc:publisher>Q</dc:publisher>"
    )
    data = only(rss(elements, attributes=publisher)).data
    assert isinstance(data["title"], str)
    assert data["publisher"] == "Q"
