"""The environment and a source -> the parts of an adapter, connected."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, aclosing
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from adapter.checkpoints.saver import Saver
from adapter.cloudevents.encode import encode
from adapter.contract.environment import AdapterEnv
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.delivery import Delivery
from adapter.model.checkpoint import Checkpoint
from adapter.model.clock import SystemClock
from adapter.model.http_auth import read_sink_auth
from adapter.model.source import Context, Source
from adapter.observe.metrics import Metrics
from adapter.runtime.deliveries import Drain
from adapter.runtime.runtime import Runtime

if TYPE_CHECKING:
    from adapter.delivery.spans import Tracing


async def assemble(env: AdapterEnv, source: Source, metrics: Metrics, stack: AsyncExitStack) -> tuple[Runtime, Channel]:
    """The runtime and the channel to the sink. ``stack`` closes the channels and the store of the checkpoint.

    ``EnvError`` if a variable is invalid together with others.
    """
    clock, log, policy = SystemClock(), logging.getLogger("adapter"), env.policy
    tracing = _tracing(env, log, stack)
    sink, dead_letters = _channels(env, clock, tracing)
    for channel in filter(None, (sink, dead_letters)):
        await stack.enter_async_context(aclosing(channel))
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
    make = tracing.delivery if tracing else Delivery
    delivery = make(sink, policy, clock, Random(), metrics, log, dead_letters=dead_letters, secrets=env.secret_texts())
    runtime = Runtime(
        source,
        context,
        partial(encode, source=env.source, namespace=env.namespace, overrides=env.ce_overrides or {}),
        delivery,
        metrics,
        Drain(TIMEOUTS.drain_s(policy.timeout_s), policy.timeout_s if dead_letters else 0.0),
        saver=saver,
    )
    return runtime, sink


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


def _channels(env: AdapterEnv, clock: SystemClock, tracing: Tracing | None) -> tuple[Channel, Channel | None]:
    """The sink and, if it is configured, the dead letter sink."""
    bundles, tokens, policy = Path(env.trust_bundles), Path(env.token_directory), env.policy
    sink = Destination(
        env.sink,
        env.ca_certs,
        env.audience,
        tokens / "token",
        bundles,
        egress=env.egress,
        credentials=read_sink_auth(env, "SINK_AUTH", env.sink_auth),
    )
    open_channel = partial(
        tracing.channel if tracing else Channel,
        timeout_s=policy.timeout_s,
        clock=clock,
        connect_timeout_s=policy.connect_timeout_s,
        backoff=policy.wait_s,
    )
    if env.dead_letter_sink is None:
        return open_channel(sink), None
    dead_letters = Destination(
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
    return open_channel(sink), open_channel(dead_letters)
