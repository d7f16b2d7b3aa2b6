"""``spec.checkpoint``: where the adapter keeps its position. One shape for the hook and for the CRD. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError, model_validator

from adapter.contract.formats import Json
from hooks.pod_settings.read import sentence
from hooks.pod_settings.settings import InvalidSettings
from hooks.pod_settings.shapes import Rule, Shape, wrong
from hooks.pod_settings.storage import DataKey, ObjectName

FORMS = ("none", "pod", "url", "volume")
_REMEDY = "set exactly one of none, pod, url and volume"
_NO_TEXT = "write secretKeyRef with the name and the key of a Secret; a URL in this field would show its password"


class NoFields(Shape):
    """An object without fields: {}."""


class CheckpointKey(Shape):
    """The key of a Secret in the source's namespace."""

    name: ObjectName = Field(description="The Secret's name.")
    key: DataKey = Field(description="The key in the Secret's data.")


class CheckpointUrl(Shape):
    """A database, by a URL in a Secret."""

    secretKeyRef: CheckpointKey = Field(description="The Secret with the URL. It is in the source's namespace.")

    @model_validator(mode="before")
    @classmethod
    def _is_no_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise wrong(_NO_TEXT)
        return value


class CheckpointVolume(Shape):
    """A PersistentVolumeClaim."""

    claimName: ObjectName = Field(description="The PersistentVolumeClaim's name. It is in the source's namespace.")


class Checkpoint(Shape):
    """Where the adapter keeps its checkpoint, from which its next process continues. Set one of the fields."""

    kept_empty = frozenset(("none", "pod"))
    rules = (
        Rule(
            "[{}].filter(set, set).size() == 1".format(", ".join(f"has(self.{name})" for name in FORMS)),
            lambda it: sum(getattr(it, name) is not None for name in FORMS) == 1,
            _REMEDY,
        ),
    )

    none: NoFields | None = Field(
        None, description="The checkpoint is in memory only: a new process starts without it. Write {}."
    )
    pod: NoFields | None = Field(
        None,
        description="The checkpoint is in a file of the pod. It survives crashes of the adapter, but not an edit of "
        "the source, a drain or an eviction. Write {}.",
    )
    url: CheckpointUrl | None = Field(
        None,
        description="The checkpoint is in PostgreSQL or Redis. A Secret contains the URL, like "
        "postgresql://USER:PASSWORD@HOST/DATABASE, redis://:PASSWORD@HOST or rediss://:PASSWORD@HOST. A URL in the "
        "spec would show its password.",
    )
    volume: CheckpointVolume | None = Field(
        None,
        description="The checkpoint is in a file on a PersistentVolumeClaim. When the source changes, the old pod "
        "ends before the new one starts.",
    )

    @property
    def form(self) -> str:
        """The one of ``FORMS`` that is set."""
        return next(name for name in FORMS if getattr(self, name) is not None)

    @property
    def has_store(self) -> bool:
        return self.none is None

    @property
    def is_durable(self) -> bool:
        """Whether a new pod finds what the old one saved."""
        return self.form in ("url", "volume")


ONE_REPLICA = "with a checkpoint on a volume, only one pod can run; set replicas to 1, or use checkpoint.url"
NONE, POD = Checkpoint(none=NoFields()), Checkpoint(pod=NoFields())


def read_checkpoint(value: Json, field: str) -> Checkpoint:
    """``field``: the path of ``value`` in messages. ``InvalidSettings`` for values that the CRD rejects.

    No message shows a text of ``value``: it may be a URL with a password.
    """
    if not isinstance(value, dict):
        raise InvalidSettings(f"{field} is not an object: {_REMEDY}")
    try:
        return Checkpoint.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        raise InvalidSettings(sentence(details, field, "field of a checkpoint", hidden=True)) from None
