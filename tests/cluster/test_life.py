"""The whole life of a source under the real Metacontroller."""

from __future__ import annotations

from tests.cluster.world import Home


def test_a_source_becomes_ready(home: Home) -> None:
    home.service()
    home.source()
    source = home.ready()
    assert source["status"]["sinkUri"] == f"http://display.{home.namespace}.svc.cluster.local"
