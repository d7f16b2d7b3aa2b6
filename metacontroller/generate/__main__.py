"""``python -m metacontroller.generate [--check]``: write the files that install the project, or check them.

With ``--check`` nothing is written; the exit code is 1 if a file is out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from metacontroller.generate import chart, overlays
from metacontroller.generate.dashboard import dashboard_json
from metacontroller.generate.installation import HEADER
from metacontroller.generate.kube_state_metrics import chart_values
from metacontroller.generate.objects.kinds import kinds
from sources_cli.admission import yaml

DIRECTORY = Path(__file__).parents[1]
GENERATED = ("base", "chart", "components", "metacontroller", "overlays", "settings")  # directories with no other files


def files() -> dict[str, str]:
    """The text of each file, by its path below ``metacontroller``."""
    title = "Values for the Helm chart of kube-state-metrics: the conditions of sources as metrics."
    return {
        **overlays.files(),
        **{f"chart/{name}": text for name, text in chart.files().items()},
        "monitoring/dashboard.json": dashboard_json(),
        "monitoring/kube-state-metrics.yaml": yaml.dump([chart_values(kinds())], header=f"{title}\n{HEADER}"),
    }


def main(arguments: Sequence[str]) -> int:
    check = list(arguments) == ["--check"]
    if arguments and not check:
        print("usage: python -m metacontroller.generate [--check]", file=sys.stderr)
        return 2
    wanted = files()
    stale = {name: text for name, text in wanted.items() if _read(DIRECTORY / name) != text}
    unknown = [file for part in GENERATED for file in _files(DIRECTORY / part) if file not in wanted]
    if check:
        for name in [*stale, *unknown]:
            print(f"metacontroller/{name} is out of date; run make manifests", file=sys.stderr)
        return 1 if stale or unknown else 0
    for name, text in stale.items():
        (DIRECTORY / name).parent.mkdir(parents=True, exist_ok=True)
        (DIRECTORY / name).write_text(text, encoding="utf-8")
    for name in unknown:
        (DIRECTORY / name).unlink()
        if not any((DIRECTORY / name).parent.iterdir()):
            (DIRECTORY / name).parent.rmdir()
    for name in [*stale, *unknown]:
        print(f"metacontroller/{name} {'deleted' if name in unknown else 'written'}")
    return 0


def _files(directory: Path) -> list[str]:
    return sorted(str(file.relative_to(DIRECTORY)) for file in directory.rglob("*") if file.is_file())


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
