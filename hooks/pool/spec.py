"""The shapes of SourcePool and TroubledSource, for the hook and for the CRDs. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, ValidationError

from adapter.contract.formats import Json
from hooks.pod_settings.fields import AdapterFields
from hooks.pod_settings.read import sentence
from hooks.pod_settings.settings import InvalidSettings
from hooks.pod_settings.shapes import Checked, Shape, matching

MOST_KINDS = 32
NAME_PATTERN = "[a-z]([-a-z0-9]{0,61}[a-z0-9])?"  # RFC 1035: of a Service
NAME_REMEDY = "write at most 63 lower-case letters, digits and '-', a letter first"
_NAME = re.compile(NAME_PATTERN, re.ASCII)
GROUP_VERSION_KIND = "[a-z0-9.-]+/v[a-z0-9]+/[A-Z][A-Za-z0-9]*"
_KIND_REMEDY = "write group/version/Kind, like example.com/v1/TickSource"
PooledKind = Annotated[str, Field(max_length=300), Checked(matching(GROUP_VERSION_KIND, _KIND_REMEDY))]
_IMAGE = Annotated[str, Field(min_length=1, max_length=1024), Checked(matching("[!-~]+", "write an image"))]


class SourcePoolSpec(Shape):
    """What may run in the pool, and how its pod runs."""

    kinds: list[PooledKind] = Field(
        min_length=1,
        max_length=MOST_KINDS,
        description="The kinds whose sources may run in the pool, as group/version/Kind. The controller of each kind "
        "names the pool, too: sources manifests --pool.",
    )
    image: _IMAGE | None = Field(
        None, description="The image of the pool, which contains the classes of the kinds. Default: that of the hook."
    )
    adapter: AdapterFields | None = Field(
        None, description="Settings of the pool's pod. Resources are for all sources of the pool together."
    )


class TroubledSourceSpec(Shape):
    """A problem of one source in a pool. The name of the object is the uid of the source."""

    problem: str = Field(max_length=1024, description="Why the source does not send its events.")


def read_pool_name(text: str) -> str:
    """The name of a SourcePool, which is that of its Service, too. ``ValueError`` says what to write."""
    if not _NAME.fullmatch(text):
        raise ValueError(NAME_REMEDY)
    return text


def read_pool_spec(value: Json) -> SourcePoolSpec:
    """``InvalidSettings`` for values that the CRD rejects."""
    try:
        return SourcePoolSpec.model_validate({} if value is None else value)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        raise InvalidSettings(sentence(details, "spec", "field of a SourcePool")) from None


def split_kind(kind: str) -> tuple[str, str]:
    """``group/version/Kind`` -> apiVersion and kind."""
    version, _, name = kind.rpartition("/")
    return version, name
