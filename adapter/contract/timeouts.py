"""How long requests, failures of the sink and each step of a shutdown may take. Pure.

The hook computes the pod's grace period from the same values that limit the shutdown of the adapter.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """All values are seconds."""

    # Requests that this process receives.
    request_head_s: float = 10.0  # from the connection, or from the first byte of a later request, to the whole head
    request_body_s: float = 10.0  # from the head to the whole body
    receive_s: float = 10.0  # a listener's receive()
    keep_alive_s: float = 75.0  # between two requests; common load balancers close a connection after 60 s
    # Requests that this process sends.
    response_body_s: float = 1.0  # the body of the response of a sink; only the dead letter sink gets it
    sink_idle_s: float = 90.0  # a connection unused for longer is closed; Go's http.DefaultTransport has the same limit
    unacknowledged_s: float = 3.0  # a host acknowledges received bytes within milliseconds, however busy its programs
    upstream_idle_s: float = 30.0  # without any byte from the upstream
    # In both directions.
    connection_age_s: float = 300.0  # a kept connection always reaches the same pod, so it is replaced after this time
    # Readiness.
    unaccepted_s: float = 30.0  # from the first failure after the last accepted event until a source is unready
    # Shutdown, in this order.
    pre_stop_s: float = 5.0  # listeners: the Service stops sending requests to this pod
    last_poll_s: float = 10.0  # pollers: one more poll, and the delivery of what it finds
    listener_drain_s: float = 2.0  # listeners: callers close their connections
    drain_margin_s: float = 10.0  # in addition to one whole delivery attempt
    outcome_s: float = 1.0  # the source handles the outcome of its last event
    responses_s: float = 2.0  # listeners: the last responses are written
    checkpoint_s: float = 3.0  # sources with a checkpoint: the last save
    source_close_s: float = 5.0  # the source closes what it opened
    margin_s: float = 3.0  # spans are exported, and the interpreter exits
    flush_s: float = 1.0  # the part of it for the spans

    def age_limit_s(self, share: float) -> float:
        """How long one connection may be used: ``connection_age_s`` ± 20 %.

        ``share``: from 0 to 1, at random, so that connections that were made together do not end together.
        """
        return self.connection_age_s * (0.8 + 0.4 * share)

    def drain_s(self, attempt_s: float) -> float:
        """How long an event may still be delivered after SIGTERM; ``attempt_s``: the timeout of one attempt."""
        return attempt_s + self.drain_margin_s

    def grace_period_s(
        self, attempt_s: float, *, dead_letter: bool, listens: bool, polls: bool = False, saves: bool = False
    ) -> int:
        """``terminationGracePeriodSeconds``: whole seconds from the start of the preStop hook to SIGKILL.

        ``saves``: the source has a checkpoint.
        """
        attempts_s = self.drain_s(attempt_s) + (attempt_s if dead_letter else 0)
        last_s = 2 * self.outcome_s + self.source_close_s + self.margin_s
        listener_s = self.pre_stop_s + self.listener_drain_s + self.responses_s if listens else 0
        more_s = (self.last_poll_s if polls else 0) + (self.checkpoint_s if saves else 0)
        return round(attempts_s + last_s + listener_s + more_s)


TIMEOUTS = Timeouts()
