"""What the children are made of, beside the source itself."""

from __future__ import annotations

from typing import NamedTuple

from adapter.contract.egress import DEFAULT_EGRESS, Egress
from hooks.addresses import Resolved
from hooks.observability import Observability


class Sinks(NamedTuple):
    """The resolved sinks of an adapter."""

    sink: Resolved
    dead_letter_sink: Resolved | None = None


class Pod(NamedTuple):
    """The part of a pod that does not depend on the source."""

    image: str
    config: Observability
    egress: Egress = DEFAULT_EGRESS
    trust_bundle: str | None = None  # a ConfigMap in the namespace of the source, which may be missing
    own_command: bool = False  # use the command of the image, which may contain an adapter in any language
