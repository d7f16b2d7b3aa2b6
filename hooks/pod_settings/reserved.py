"""Names that a source cannot set for its pod, because the project, Kubernetes or Metacontroller sets them."""

from __future__ import annotations

import re

from adapter.contract.declarations import USER
from adapter.contract.environment import TLS_SECRETS, TOKEN_DIRECTORY, TRUST_BUNDLES, reference

CHECKPOINT_VOLUME, CHECKPOINT_DIRECTORY = "checkpoint", "/checkpoint"
POOL_TOKEN_VOLUME, POOL_TOKEN_DIRECTORY = "pool-token", "/pool-token"  # of the pod of a SourcePool
# The volumes that the hook adds, and where it mounts them.
MOUNTS = {
    "oidc-token": TOKEN_DIRECTORY,
    "knative-custom-certs": TRUST_BUNDLES,
    CHECKPOINT_VOLUME: CHECKPOINT_DIRECTORY,
    POOL_TOKEN_VOLUME: POOL_TOKEN_DIRECTORY,
}
TLS_VOLUME = "tls-secret-"  # and a number: the name of a Secret may be too long for that of a volume
# No volume may hide the programs of the image: /app has the adapter, /usr has Python. /proc, /sys and /dev are the
# kernel's. A volume below /etc or /var is allowed, one over the whole directory is not. The dynamic linker and OpenSSL
# load the libraries that their files in /etc name.
_WHOLE = ("/", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/var", "/var/run", "/etc/ssl")
_OF_IMAGE = ("/app", "/bin", "/boot", "/dev", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr")
_WITH_CONTENT = (*_OF_IMAGE, *MOUNTS.values(), TLS_SECRETS)
_LOADERS = (r"/etc/ld\.so\..*", r"/etc/ssl/openssl\.cnf")
MOUNT_PATHS = "|".join((*_WHOLE, *_LOADERS, *(f"{path}(/.*)?" for path in _WITH_CONTENT)))
VOLUMES = "|".join((*MOUNTS, f"{TLS_VOLUME}[0-9]+"))

# PYTHON*, LD_*, OPENSSL_* and _OF_CODE change which code the adapter runs: programs and libraries.
_PREFIXES = ("K_", "SOURCE_", "PYTHON", "LD_", "OPENSSL_")
_OF_CODE = ("GCONV_PATH", "LOCPATH", "PATH")
_VARIABLES = [row.name for row in reference() if row.set_by != USER and not row.name.startswith(_PREFIXES)]
VARIABLES = "|".join(
    (
        f"({'|'.join(_PREFIXES)}).*",
        *(re.escape(name).replace("<n>", "[0-9]+") for name in sorted((*_VARIABLES, *_OF_CODE))),
    )
)

# The selectors of the Deployment and of the Service, and what controllers add to a pod.
LABELS = "knative-eventing-source(-name)?|controller-uid|pod-template-hash|(.*[./])?knative\\.dev/.*"
# The annotation of AppArmor could leave the Pod Security Standard `restricted`.
ANNOTATIONS = (
    r"(.*[./])?knative\.dev/.*|metacontroller\.k8s\.io/.*|deployment\.kubernetes\.io/.*|"
    r"(container\.apparmor\.security\.beta|(container\.)?seccomp\.security\.alpha)\.kubernetes\.io/.*"
)
