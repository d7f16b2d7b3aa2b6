"""``POST /pool/sync`` and ``/pool/customize``: what Metacontroller asks about a SourcePool."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from adapter.contract.formats import Json
from adapter.serving.logs import LogThrottle
from hooks.children.inputs import Pod
from hooks.children.plan import Unprocessable
from hooks.configmaps import MountedConfig
from hooks.names import get_in
from hooks.pod_settings.settings import InvalidSettings
from hooks.pool import own, question, refill
from hooks.pool.children import POOL_PORT
from hooks.pool.client import Pools, Transport
from hooks.pool.listing import Body, NotAList
from hooks.pool.question import Question
from hooks.protocol import CustomizeRequest, CustomizeResponse, Malformed, Parent, PoolResponse
from hooks.serving.credentials import watched_tokens
from hooks.settings import Settings

SYNC, CUSTOMIZE = "/pool/sync", "/pool/customize"
HOLD, LONGEST_HOLD_S = 4.0, 1.0
Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True)
class PoolSync:
    """``sleep`` waits so many seconds."""

    settings: Settings
    config: MountedConfig
    pools: Pools
    sleep: Sleep = asyncio.sleep

    async def __call__(self, content: bytes) -> PoolResponse:
        """``NotAList`` for a body that Metacontroller does not send. ``Unprocessable`` if a pod would be deleted.

        The answer is held a little, so that one list has the changes of many sources.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        response = await self._respond(content.decode("utf-8", "replace"))
        await self.sleep(min(HOLD * (clock() - started), LONGEST_HOLD_S))
        return response

    async def _respond(self, text: str) -> PoolResponse:
        body = Body(text)
        read = await refill.read_list(body)
        parent, children = _parent(read.members.get("parent")), read.members.get("children")
        observed = children if isinstance(children, dict) else {}
        now = datetime.now(UTC).replace(microsecond=0)
        try:
            pool = own.read_pool(parent, self.settings.namespace)
        except InvalidSettings as error:
            if observed.get(own.DEPLOYMENTS):
                raise Unprocessable(str(error)) from None
            return own.invalid(parent, str(error), now)
        name = parent.metadata.name
        answer = await refill.hand_over(self.pools, name, body, read.of_pool(name), self._refill)
        observability = self.config.for_kind(parent.kind)
        return own.sync(pool, observed, answer, self.settings, now=now, observability=observability)

    def _refill(self, source: Json) -> Question | None:
        observability = self.config.for_kind(str(get_in(source, "kind")))
        return question.refill(source, Pod("", observability, self.settings.egress), self.settings)


def customize(request: CustomizeRequest) -> CustomizeResponse:
    """All sources of the kinds of a SourcePool."""
    return own.customize(request.parent)


def make_pools(settings: Settings, throttle: LogThrottle, *, transport: Transport = lambda: None) -> Pools:
    """``EnvError`` if POOL_TOKEN_FILE cannot be used. ``transport`` replaces the network in tests."""

    in_cluster = f"http://{{name}}.{settings.namespace}.svc.{settings.cluster_domain}:{POOL_PORT}"
    template = (settings.pool_url or in_cluster).rstrip("/")

    def url(pool: str) -> str:
        return template.replace("{name}", pool)

    tokens = watched_tokens("POOL_TOKEN_FILE", settings.pool_token_file)
    return Pools(url, (lambda: tokens.value[0].decode()) if tokens else (lambda: ""), throttle, transport=transport)


def _parent(value: Json) -> Parent:
    try:
        return Parent.model_validate(value)
    except (ValidationError, Malformed):
        raise NotAList("parent is not an object of Kubernetes") from None
