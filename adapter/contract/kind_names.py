"""Names that follow from a kind and its class, with the limits of Kubernetes for them. Pure.

The longest is the value of a label, ``<kebab-case>-controller``. So its limit is the limit of a kind: the plural, the
``…List`` kind and the names in the CRD are shorter. Names with the name of a source are shortened (``hooks.names``).
Sources of the limits: apimachinery ``util/validation``, apiextensions-apiserver ``pkg/apis/apiextensions/validation``.
"""

from __future__ import annotations

import re
from functools import lru_cache

from adapter.contract.formats import Json, quoted

MAX_LABEL, MAX_NAME = 63, 253  # characters of a label value or a DNS label, and of the name of an object
MAX_API_VERSION = MAX_NAME + len("/") + MAX_LABEL
_LABEL = "{}-controller"
MAX_KIND = MAX_LABEL - len(_LABEL.format(""))  # of a kind in kebab-case
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_GROUP = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+", re.ASCII)
_VERSION = re.compile(r"v[0-9]+((alpha|beta)[0-9]+)?", re.ASCII)
_SHORT_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?", re.ASCII)


def with_separator(kind: str, separator: str) -> str:
    """``QueueDepthSource`` -> ``queue_depth_source`` for ``_``."""
    return _WORD_START.sub(separator, kind).lower()


@lru_cache(maxsize=256)
def kebab(kind: str) -> str:
    """``QueueDepthSource`` -> ``queue-depth-source``."""
    return with_separator(kind, "-")


@lru_cache(maxsize=256)
def plural(kind: str) -> str:
    """The resource name of a kind by the rule of apimachinery (``UnsafeGuessKindToResource``)."""
    lower = kind.lower()
    if lower.endswith("endpoints"):
        return lower
    if lower.endswith("s"):
        return lower + "es"
    return lower[:-1] + "ies" if lower.endswith("y") else lower + "s"


def controller_label(kind: str) -> str:
    """The value of the label ``knative-eventing-source``."""
    return _LABEL.format(kebab(kind))


def kind_problem(kind: str) -> str | None:
    """Why a kind cannot have this name, or None. Only its length is checked."""
    name = kebab(kind)
    if len(name) <= MAX_KIND:
        return None
    return f"the kind {quoted(kind)} has {len(name)} characters as {quoted(name)}; write at most {MAX_KIND}"


def api_version_problem(api_version: Json, kind: str) -> str | None:
    """Why ``kind`` cannot have this group and version, or None. The name of its CRD is ``<plural>.<group>``."""
    group, _, version = api_version.partition("/") if isinstance(api_version, str) else ("", "", "")
    if not _GROUP.fullmatch(group) or not _VERSION.fullmatch(version):
        return f"is {quoted(api_version)}: write group/version like example.com/v1"
    if len(version) > MAX_LABEL:
        return f"has a version of {len(version)} characters; write at most {MAX_LABEL}"
    longest = MAX_NAME - len(f"{plural(kind)}.")
    return f"has a group of {len(group)} characters; write at most {longest}" if len(group) > longest else None


def short_name_problem(short_name: Json) -> str | None:
    """Why a kind cannot have this short name, or None. It may be empty."""
    if short_name == "" or (isinstance(short_name, str) and _SHORT_NAME.fullmatch(short_name)):
        return _too_long(short_name)
    return f"is {quoted(short_name)}: write lower-case letters, digits and '-', like qds"


def _too_long(short_name: str) -> str | None:
    too_long = len(short_name) > MAX_LABEL
    return f"has {len(short_name)} characters; write at most {MAX_LABEL}" if too_long else None
