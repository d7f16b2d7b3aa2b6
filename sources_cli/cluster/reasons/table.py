"""The one table of reasons, of ``sources explain`` and of the pages.

``docs/generate.py`` writes the tables of docs/operate.md from it. The order of the entries is the order of causes: the
first entry can be the cause of the ones after it.
"""

from __future__ import annotations

from sources_cli.cluster.reasons.control import CONTROL
from sources_cli.cluster.reasons.delivery import DELIVERY
from sources_cli.cluster.reasons.entry import Entry
from sources_cli.cluster.reasons.progress import PROGRESS
from sources_cli.cluster.reasons.workload import WORKLOAD

FROM_KUBERNETES = (  # reasons of a Deployment, and of a pod that failed, which the hook passes on
    "ProgressDeadlineExceeded",
    "FailedCreate",
    "ReplicaSetCreateError",
    "Evicted",
)

TABLE: dict[str, Entry] = {**CONTROL, **WORKLOAD, **DELIVERY, **PROGRESS}


def rank(reason: str) -> int:
    """The place of a reason in the order of causes. A reason that is not in the table comes last."""
    return list(TABLE).index(reason) if reason in TABLE else len(TABLE)
