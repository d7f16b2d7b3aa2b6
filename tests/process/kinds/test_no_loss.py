"""The sample kinds against real servers: each item arrives, whatever is killed, stopped or refused.

Each kill falls between the request to the sink and the deletion of the item. The item stays, so it is sent again.
"""

from __future__ import annotations

import random
import signal
import socket
import threading
from collections import Counter

import pytest

from tests.process.harness import Start, wait_until
from tests.process.kinds.adapters import KILLS, Sink, adapter
from tests.process.kinds.upstreams import Outbox, Stream, Upstream

SERVERS = pytest.mark.parametrize("upstream", [Outbox, Stream], indirect=True, ids=lambda kind: str(kind.kind))


@pytest.mark.timeout(900)
def test_kills_and_a_stop_lose_no_item_and_repeat_only_what_was_under_way(start: Start, upstream: Upstream) -> None:
    chance, ids = random.Random(upstream.kind), list[str]()
    with Sink(delay_s=0.02) as sink:
        for number in [*[signal.SIGKILL] * KILLS, signal.SIGTERM]:
            ids += upstream.add(max(0, 10 - upstream.left()))
            running = adapter(start, upstream, sink)
            sink.wait_for(len(sink.requests) + chance.randrange(1, 6))
            threading.Event().wait(chance.random() * 0.02)  # a random moment of a delivery
            assert running.process.stop(number)[0] == (0 if number == signal.SIGTERM else -number)
        assert running.process.logged("event lost") == []
        adapter(start, upstream, sink)
        sink.wait_for_ids(ids, upstream)
        copies = Counter(sink.ids)
    assert copies.keys() == set(ids)
    assert copies.total() - len(ids) <= KILLS, "SIGTERM repeats nothing, and a kill only the event that was under way"
    assert not upstream.ordered or list(copies) == ids


def test_refused_item_stays_until_the_sink_accepts_it_and_others_pass(start: Start, upstream: Upstream) -> None:
    with Sink() as sink:
        first, *others = ids = upstream.add(4)
        sink.refused = {first}
        running = adapter(start, upstream, sink)
        wait_until(lambda: set(ids) == set(sink.ids) and upstream.left() == 1, "the others", lambda: sink.ids)
        running.wait_for(
            f'source_events_total{{kind="{upstream.kind}",name="source",namespace="default",outcome="returned"'
        )
        sink.refused = set()
        upstream.make_due()
        later = upstream.add(1)
        sink.wait_for_ids([*ids, *later], upstream)
        copies = Counter(sink.ids)
    assert copies.pop(first) > 1
    assert copies == dict.fromkeys([*others, *later], 1)


@SERVERS
def test_item_that_the_dead_letter_sink_accepted_is_removed(start: Start, upstream: Outbox | Stream) -> None:
    with Sink() as sink, Sink() as dead_letters:
        ids = upstream.add(2)
        sink.refused = {ids[0]}
        adapter(start, upstream, sink, DEAD_LETTER_SINK=dead_letters.url)
        sink.wait_for_ids(ids, upstream)
        assert dead_letters.ids == ids[:1]


@SERVERS
def test_adapter_ends_with_its_server_and_the_next_one_continues(start: Start, upstream: Outbox | Stream) -> None:
    with Sink(delay_s=0.02) as sink:
        ids = upstream.add(20)
        running = adapter(start, upstream, sink)
        sink.wait_for(5)
        upstream.server.stop()
        assert running.process.ended() == 1
        running.assert_log_is_json()
        [line] = running.process.logged("the source failed")
        upstream.server.start()
        adapter(start, upstream, sink)
        sink.wait_for_ids(ids, upstream)
        assert len(sink.ids) <= len(ids) + 1
    assert line["at"].startswith(("postgres_outbox_source.py:", "redis_stream_source.py:"))


@SERVERS
def test_adapter_is_not_ready_before_it_is_connected(start: Start, upstream: Outbox | Stream) -> None:
    """The server accepts the connection and does not answer."""
    with Sink() as sink, socket.create_server(("127.0.0.1", 0)) as silent:
        upstream.secret = f"{upstream.secret.partition(':')[0]}://127.0.0.1:{silent.getsockname()[1]}/0"
        running = adapter(start, upstream, sink)
        connection, _ = silent.accept()
        with connection:
            status, reason = running.get("/readiness")
            assert (status, reason.split()[:3]) == (503, ["not", "connected", "to"])
            assert running.process.stop()[0] == 0
