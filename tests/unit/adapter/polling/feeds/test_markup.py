"""A feed is checked before it is parsed: its DOCTYPE, and whether it is complete."""

from __future__ import annotations

import contextlib
import time

import httpx2
import pytest

from adapter.polling.errors import PollFailed
from adapter.polling.feeds.markup import check_feed
from adapter.sources.poll_source import PollSource
from tests.unit.adapter.polling.polled import URL, found, ok
from tests.unit.adapter.polling.polling_run import Run

ITEM = b"<item><guid>n1</guid><title>t&nbsp;&copy;</title></item>"
RSS = b"<rss version='2.0'><channel>" + ITEM + b"</channel></rss>"
RDF = (
    b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'>"
    b"<item rdf:about='n1'><title>t</title><link>n1</link></item></rdf:RDF>"
)
ATOM = b"<a:feed xmlns:a='http://www.w3.org/2005/Atom'><a:entry><a:id>n1</a:id></a:entry></a:feed>"
RSS_1_0 = b"""<?xml version="1.0" encoding="gb2312"?>
<!DOCTYPE rdf:RDF [
<!ENTITY % HTMLlat1 PUBLIC "-//W3C//ENTITIES Latin 1 for XHTML//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml-lat1.ent">
%HTMLlat1;
]>"""
RSS_0_91 = b'<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://my.netscape.com/rss-0.91.dtd">'
LATIN_1 = b"".join(b'<!ENTITY e%d "&#%d;"> <!-- a comment -->\n' % (n, n) for n in range(160, 256))


@pytest.mark.parametrize(
    "feed",
    [
        pytest.param(RSS.replace(b"t&nbsp;", b'<![CDATA[<!ENTITY x "&y;">]]>'), id="cdata"),
        pytest.param(RSS.replace(b"<channel>", b'<!-- <!ENTITY x "&y;"> --><channel>'), id="comment"),
        pytest.param(b'<!-- <!DOCTYPE rss [<!ENTITY x "&y;">]> -->' + RSS, id="comment-before-the-root"),
        pytest.param(RSS_1_0 + RDF, id="rss-1.0"),
        pytest.param(RSS_0_91 + RSS, id="rss-0.91"),
        pytest.param(RSS_0_91[:-1] + b"[" + LATIN_1 + b"]>" + RSS, id="doctype-longer-than-the-head"),
        pytest.param(b'<!DOCTYPE rss [<!ENTITY nbsp "&#160;"><!ENTITY lt "&#38;#60;">]>' + RSS, id="characters"),
        pytest.param(b'<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + RSS, id="external"),
    ],
)
def test_text_and_harmless_doctype_of_a_feed_are_accepted(feed: bytes) -> None:
    assert [event.id for event in found(feed)] == ["n1"]


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param(b'<!ENTITY a "ha"><!ENTITY b "&a;&a;">', id="nested"),
        pytest.param(b"<!ENTITY a '" + b"x" * 101 + b"'>", id="long"),
        pytest.param(b"""<!ENTITY % a '<!ENTITY b "&c;">'> %a;""", id="parameter"),
        pytest.param(b"<!ENTITY a '&#38;b;'>", id="escaped-reference"),
        pytest.param(b"<!-- > --><!ATTLIST rss x CDATA '>]>'><!ENTITY a '&b;'>", id="after-quoted-brackets"),
    ],
)
def test_entity_that_can_expand_is_a_failure(declared: bytes) -> None:
    with pytest.raises(PollFailed, match="the feed declares an XML entity that contains another one or more than 100"):
        check_feed(b"<!DOCTYPE rss [" + declared + b"]>" + RSS)


def test_external_entity_is_not_read() -> None:
    feed = b'<!DOCTYPE rss [\n<!ENTITY x SYSTEM "file:///etc/hostname">\n]>' + RSS.replace(b"&nbsp;", b"&x;")
    (event,) = found(feed)
    assert "file" not in event.data["title"]
    assert len(event.data["title"]) < 8


@pytest.mark.parametrize("feed", [RSS, RDF, ATOM, b"<?xml version='1.0'?>" + RSS_0_91 + RSS])
def test_feed_without_the_end_tag_of_its_root_is_a_failure(feed: bytes) -> None:
    check_feed(feed + b"\n<!-- generated -->")
    for cut in range(feed.index(b"n1"), len(feed)):
        with pytest.raises(PollFailed, match=r"the feed is truncated: </\w*:?\w+> is missing"):
            check_feed(feed[:cut])


@pytest.mark.parametrize("quoted", [b"<![CDATA[</rss>", b"<![CDATA[</rss>]]>", b"<!-- </rss>"])
def test_end_tag_in_quoted_text_does_not_complete_a_feed(quoted: bytes) -> None:
    with pytest.raises(PollFailed, match="truncated"):
        check_feed(b"<rss><channel><item><description>" + quoted)


@pytest.mark.parametrize("feed", [b"<rss/>", b"<RSS version='2.0' />", b"<rss></RSS >", b"\xef\xbb\xbf\n<rss></rss>"])
def test_empty_feed_is_complete(feed: bytes) -> None:
    check_feed(feed)


@pytest.mark.parametrize("part", [b"<!--", b"<![CDATA[", b"</rss", b"<!ENTITY a '", b"<rss ", b"<rss a='", b"x"])
def test_check_of_a_hostile_feed_takes_linear_time(part: bytes) -> None:
    began = time.process_time()
    for start in (b"<rss>", b"<!DOCTYPE rss [", b"<!DOCTYPE rss [<!--", b"<"):
        with contextlib.suppress(PollFailed):
            check_feed(start + part * (4_000_000 // len(part)))
    assert time.process_time() - began < 2


def test_truncated_feed_sends_nothing_and_the_next_request_is_not_conditional() -> None:
    """Otherwise the next response would be 304, and the rest of the feed would never be read."""
    whole = RSS.replace(ITEM, b"<item><guid>n2</guid><description>part one, part two</description></item>" + ITEM)
    answers = [
        ok(whole[: whole.index(b", part two")], ETag='"1"'),
        httpx2.Response(206, headers={"ETag": '"1"'}, content=whole),
        ok(whole, ETag='"1"'),
    ]
    asked: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("If-None-Match"))
        if not answers:
            raise KeyboardInterrupt
        return answers.pop(0)

    run = Run(PollSource(url=URL, start="earliest"), handler=answer)
    assert run.ids() == ["n1", "n2"]
    assert run.events[1].data["summary"] == "part one, part two"
    assert asked == [None, None, None, '"1"']
    assert run.outcomes == ["failed", "failed", "ok"]
