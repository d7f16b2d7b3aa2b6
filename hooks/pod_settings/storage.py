"""Volumes and their mounts, as in Kubernetes' ``v1.Volume`` and ``v1.VolumeMount``, of the kinds that are safe.

A volume of another kind, like hostPath, would leave the Pod Security Standard ``restricted``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hooks.names import DNS_LABEL, DNS_SUBDOMAIN
from hooks.pod_settings import quantities, reserved
from hooks.pod_settings.shapes import Checked, Rule, Shape, map_list, matching, not_matching

# As in the volume of a Secret: no name that begins with "..".
KEY_OF_DATA = r"\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*"
KEY_REMEDY = "write a key of the data: letters, digits, '-', '_' and '.', not beginning with '..'"
_SEGMENT = r"(\.?[!-\-0-9;-~][!-.0-9;-~]*)"  # printable ASCII without ":", not beginning with ".."
_RELATIVE = rf"{_SEGMENT}(/{_SEGMENT})*"
_RELATIVE_REMEDY = (
    "write a path like certs/ca.pem: relative, of printable ASCII characters without ':', no name beginning with '..'"
)

ObjectName = Annotated[str, Field(max_length=253), Checked(matching(DNS_SUBDOMAIN, "write the name of an object"))]
DataKey = Annotated[str, Field(max_length=253), Checked(matching(KEY_OF_DATA, KEY_REMEDY))]
RelativePath = Annotated[
    str,
    Field(max_length=512),
    Checked(matching(_RELATIVE, _RELATIVE_REMEDY)),
]
VolumeName = Annotated[
    str,
    Field(max_length=63),
    Checked(
        matching(DNS_LABEL, "write a name of lower-case letters, digits and '-'"),
        not_matching(reserved.VOLUMES, "the adapter has a volume of this name; choose another name"),
    ),
]
MountPath = Annotated[
    str,
    Field(max_length=512),
    Checked(
        matching(
            f"/({_RELATIVE})?",
            "write an absolute path like /data, of printable ASCII characters without ':', and no '/' at the end",
        ),
        not_matching(reserved.MOUNT_PATHS, "a volume here would hide files of the adapter; write a path like /data"),
    ),
]
Mode = Annotated[int, Field(ge=0, le=0o777)]


# A text, while Kubernetes also takes a number: for a number, the estimated cost of a rule in a list is too high.
Size = Annotated[
    str,
    Field(max_length=32),
    Checked(matching(quantities.GRAMMAR, 'write bytes like "64Mi"')),
    AfterValidator(lambda text: quantities.bytes_text(quantities.parse(text))),
]


class KeyToPath(Shape):
    """The file for a key."""

    key: DataKey = Field(description="The key.")
    path: RelativePath = Field(description="The path of the file in the volume.")
    mode: Mode | None = Field(None, description="The permissions of the file, like 0o440. Default: defaultMode.")


Items = Annotated[list[KeyToPath], Field(max_length=32), map_list("items", "path")]
_ITEMS = "The keys that become files. Default: all keys."
_DEFAULT_MODE = "The permissions of the files. Default: 420, which is 0644."
_OPTIONAL = "If true, it may be missing."


class ConfigMapVolume(Shape):
    """A file for each key of a ConfigMap."""

    name: ObjectName = Field(description="The ConfigMap's name.")
    items: Items | None = Field(None, description=_ITEMS)
    defaultMode: Mode = Field(0o644, description=_DEFAULT_MODE)
    optional: bool | None = Field(None, description=_OPTIONAL)


class SecretVolume(Shape):
    """A file for each key of a Secret."""

    secretName: ObjectName = Field(description="The Secret's name.")
    items: Items | None = Field(None, description=_ITEMS)
    defaultMode: Mode = Field(0o644, description=_DEFAULT_MODE)
    optional: bool | None = Field(None, description=_OPTIONAL)


class EmptyDirVolume(Shape):
    """An empty directory, which is deleted with the pod."""

    medium: Literal["", "Memory"] | None = Field(None, description="Memory: in memory. Empty: on the node's disk.")
    sizeLimit: Size | None = Field(None, description="The size at which the pod is evicted, like 64Mi.")


class ClaimVolume(Shape):
    """A PersistentVolumeClaim."""

    claimName: ObjectName = Field(description="The PersistentVolumeClaim's name.")
    readOnly: bool | None = Field(None, description="If true, no mount can write.")


SOURCES = ("configMap", "secret", "emptyDir", "persistentVolumeClaim")


class Volume(Shape):
    """A volume of the pod: a ConfigMap, a Secret, an emptyDir or a PersistentVolumeClaim."""

    kept_empty = frozenset(("emptyDir",))
    rules = (
        Rule(
            "[{}].filter(set, set).size() == 1".format(", ".join(f"has(self.{name})" for name in SOURCES)),
            lambda it: sum(getattr(it, name) is not None for name in SOURCES) == 1,
            f"write one of {', '.join(SOURCES)}",
        ),
    )

    name: VolumeName = Field(description="The name, by which volumeMounts refer to it.")
    configMap: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    emptyDir: EmptyDirVolume | None = None
    persistentVolumeClaim: ClaimVolume | None = None


class VolumeMount(Shape):
    """Where the adapter's container has a volume."""

    name: VolumeName = Field(description="The name of one of the volumes.")
    mountPath: MountPath = Field(description="The absolute path in the container, like /data.")
    subPath: Annotated[str, Checked(matching(f"({_RELATIVE})?", _RELATIVE_REMEDY))] | None = Field(
        None, max_length=512, description="A path in the volume. Default: its root."
    )
    readOnly: bool | None = Field(None, description="If true, the adapter cannot write.")


Volumes = Annotated[list[Volume], Field(max_length=8), map_list("volumes", "name")]
VolumeMounts = Annotated[list[VolumeMount], Field(max_length=16), map_list("mounts", "mountPath")]
