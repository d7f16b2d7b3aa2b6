"""What ``sources explain`` says about a source of a test cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sources_cli.cluster.diagnosis import Explanation, explain
from sources_cli.cluster.look import discover, find_source, look_at
from sources_cli.cluster.reader import Access, connected
from tests.cluster.namespace import SourceNamespace


def explained(
    ns: SourceNamespace, name: str = "hello", *, kind: str = "", kubeconfig: Path | None = None
) -> Explanation:
    access = Access(kubeconfig or ns.cluster.plane.kubeconfig, None, ns.name, limit_s=60)
    return asyncio.run(_explained(access, f"{kind or ns.kind.name}/{name}"))


async def _explained(access: Access, text: str) -> Explanation:
    async with connected(access) as reader:
        served = await discover(reader)
        kind, source = await find_source(reader, text, served)
        return explain(await look_at(reader, kind, source, served))


def reasons(ns: SourceNamespace, name: str = "hello") -> list[str]:
    """The reasons of the findings; empty if nothing is wrong."""
    return [finding.reason for finding in explained(ns, name).findings]
