"""The environment and a source -> the parts of an adapter, connected."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from adapter.checkpoints.saver import Saver
from adapter.cloudevents.encode import encode
from adapter.contract.delivery_policy import Policy
from adapter.contract.environment import AdapterEnv
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.delivery import Delivery
from adapter.model.checkpoint import Checkpoint
from adapter.model.clock import Clock, SystemClock
from adapter.model.http_auth import read_sink_auth
from adapter.model.source import Context, Source
from adapter.observe.metrics import Metrics
from adapter.runtime.deliveries import Drain, Encode
from adapter.runtime.runtime import Runtime

if TYPE_CHECKING:
    from adapter.delivery.spans import Tracing

Slots = Callable[[str], asyncio.Semaphore]


async def assemble(env: AdapterEnv, source: Source, metrics: Metrics, stack: AsyncExitStack) -> tuple[Runtime, Channel]:
    """The runtime and the channel to the sink. ``stack`` closes the channels and the store of the checkpoint.

    ``EnvError`` if a variable is invalid together with others.
    """
    clock, log = SystemClock(), logging.getLogger("adapter")
    tracing = _tracing(env, log, stack)
    sinks = Sinks.of(env, clock, tracing)
    await stack.enter_async_context(aclosing(sinks))
    saver = _saver(env, source, clock, log, metrics)
    await stack.enter_async_context(aclosing(saver))
    context = Context(
        env.source,
        env.identity,
        env.created,
        clock,
        log,
        port=env.port,
        trust_bundles=Path(env.trust_bundles),
        tls_secrets=Path(env.tls_secrets),
        checkpoint=saver.checkpoint,
        egress=env.egress,
    )
    runtime = Runtime(
        source,
        context,
        encoder(env),
        sinks.delivery(env, clock, metrics, log, tracing),
        metrics,
        sinks.drain(env.policy),
        saver=saver,
    )
    return runtime, sinks.sink


def encoder(env: AdapterEnv) -> Encode:
    """Encodes the events of the source."""
    return partial(encode, source=env.source, namespace=env.namespace, overrides=env.ce_overrides or {})


@dataclass(frozen=True)
class Sinks:
    """The channels to the sink and, if it is configured, to the dead letter sink."""

    sink: Channel
    dead_letters: Channel | None

    @classmethod
    def of(cls, env: AdapterEnv, clock: Clock, tracing: Tracing | None = None) -> Sinks:
        """``EnvError`` if a URL or a certificate is invalid."""
        policy, (sink, dead_letters) = env.policy, _destinations(env)

        def channel(destination: Destination) -> Channel:
            return (tracing.channel if tracing else Channel)(
                destination,
                timeout_s=policy.timeout_s,
                clock=clock,
                connect_timeout_s=policy.connect_timeout_s,
                backoff=policy.wait_s,
            )

        return cls(channel(sink), channel(dead_letters) if dead_letters else None)

    def delivery(
        self,
        env: AdapterEnv,
        clock: Clock,
        metrics: Metrics,
        log: logging.Logger,
        tracing: Tracing | None = None,
        slots: Slots | None = None,
    ) -> Delivery:
        """Delivers events by the policy of ``env``. ``slots``: limits the attempts at a destination, by its URL."""
        make = tracing.delivery if tracing else Delivery
        channels = [each for each in (self.sink, self.dead_letters) if each]
        return make(
            self.sink,
            env.policy,
            clock,
            Random(),
            metrics,
            log,
            dead_letters=self.dead_letters,
            secrets=env.secret_texts(),
            monotonic=asyncio.get_running_loop().time,
            slots={each: slots(each.destination.url) for each in channels} if slots else {},
        )

    def drain(self, policy: Policy) -> Drain:
        return Drain(TIMEOUTS.drain_s(policy.timeout_s), policy.timeout_s if self.dead_letters else 0.0)

    async def aclose(self) -> None:
        for channel in filter(None, (self.dead_letters, self.sink)):
            await channel.aclose()


def _tracing(env: AdapterEnv, log: logging.Logger, stack: AsyncExitStack) -> Tracing | None:
    """None unless the variables of OpenTelemetry ask for spans. ``stack`` sends the last ones."""
    if not env.otel:
        return None
    from adapter.delivery.otlp import open_tracing

    tracing = open_tracing(env, log)
    if tracing:
        stack.push_async_callback(tracing.aclose)
    return tracing


def _saver(env: AdapterEnv, source: Source, clock: SystemClock, log: logging.Logger, metrics: Metrics) -> Saver:
    if env.checkpoint_url is None:
        return Saver(Checkpoint(), None, clock, log)
    from adapter.checkpoints.urls import checkpoint_key, is_shared, open_store

    key = checkpoint_key(env.identity, source)
    store = open_store(env.checkpoint_url, key, env.egress, Path(env.trust_bundles))
    saver = Saver(Checkpoint(is_shared=is_shared(env.checkpoint_url), key=key), store, clock, log)
    metrics.checkpoint_age_s = saver.age_s
    return saver


def _destinations(env: AdapterEnv) -> tuple[Destination, Destination | None]:
    """The sink and the dead letter sink."""
    bundles, tokens = Path(env.trust_bundles), Path(env.token_directory)
    sink = Destination(
        env.sink,
        env.ca_certs,
        env.audience,
        tokens / "token",
        bundles,
        egress=env.egress,
        credentials=read_sink_auth(env, "SINK_AUTH", env.sink_auth),
    )
    if env.dead_letter_sink is None:
        return sink, None
    return sink, Destination(
        env.dead_letter_sink,
        env.dead_letter_ca_certs,
        env.dead_letter_audience,
        tokens / "dead-letter-token",
        bundles,
        "DEAD_LETTER_SINK",
        "DEAD_LETTER_CA_CERTS",
        env.egress,
        read_sink_auth(env, "DEAD_LETTER_SINK_AUTH", env.dead_letter_sink_auth),
    )
