"""Checks the settings of the adapter's pod as the hook does. Finds what the rules of the CRD cannot express."""

from __future__ import annotations

from adapter.contract.delivery_policy import read_policy
from adapter.contract.formats import Json
from adapter.contract.timeouts import TIMEOUTS
from hooks.pod_settings.read import grace_period_problem, read
from hooks.pod_settings.settings import InvalidSettings
from sources_cli.admission.validate import Violation, invalid, stored
from sources_cli.kind import Kind
from sources_cli.schema.crd import object_schema


def pod_violations(kind: Kind, value: Json) -> list[Violation]:
    """``value``: a whole source without violations of its CRD."""
    spec = stored(object_schema(kind), value).get("spec", {})
    if spec.get("adapter") is None:
        return []
    delivery = spec.get("delivery") or {}
    dead_letter = delivery.pop("deadLetterSink", None) is not None
    derived_s = TIMEOUTS.grace_period_s(
        read_policy(delivery).timeout_s,
        dead_letter=dead_letter,
        listens=kind.listens,
        polls=kind.source_class.is_poller,
        saves="none" not in (spec.get("checkpoint") or {kind.default_checkpoint: {}}),
    )
    try:
        settings = read(spec["adapter"], "spec.adapter")
    except InvalidSettings as error:
        return [Violation(("spec", "adapter"), str(error))]
    problem = grace_period_problem(settings, derived_s)
    path = ("spec", "adapter", "terminationGracePeriodSeconds")
    return [Violation(path, invalid(settings.grace_period_s, problem))] if problem else []
