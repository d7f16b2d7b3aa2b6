"""Draws docs/scale.svg from the committed results: ``.venv/bin/python -m tests.bench.scale.plot``.

Bars: CPU milliseconds per source in each phase, by process, and syncs per source beside those of the trivial hook.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
RESULTS = Path(__file__).parent / "results"
COLORS = {
    "hook": "#3274d9",
    "metacontroller": "#56a64b",
    "kube-apiserver": "#e0b400",
    "etcd": "#e02f44",
    "kube-controller-manager": "#8f3bb8",
}
SHOWN = ("create", "edit", "port", "restart-metacontroller", "restart-hook", "delete")
W, ROW, LEFT, RIGHT = 760, 26, 190, 110


def main() -> None:
    (ROOT / "docs/scale.svg").write_text(picture(json.loads((RESULTS / "100.json").read_text())))


def picture(report: Any) -> str:
    rows = [
        (f"{phase['name']}{' (trivial)' if hook == 'trivial' else ''}", phase)
        for hook, phases in report["hooks"].items()
        for phase in phases
        if phase["name"] in SHOWN
    ]
    height = 60 + ROW * len(rows) + 16
    title = f"CPU milliseconds per source, and syncs per source, with {report['n']} sources"
    style = "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {height}"><style>{style}</style>'
        f'<rect width="{W}" height="{height}" fill="#fff"/><text x="10" y="20" class="title">{title}</text>'
        f"{''.join(legend())}{''.join(bars(rows, report['n']))}</svg>\n"
    )


def legend() -> Iterator[str]:
    x = 10
    for name, color in COLORS.items():
        yield f'<rect x="{x}" y="32" width="10" height="10" fill="{color}"/><text x="{x + 14}" y="41">{name}</text>'
        x += 34 + 7 * len(name)


def bars(rows: Sequence[tuple[str, Any]], n: int) -> Iterator[str]:
    most = max(sum(phase["cpu_s"][name] for name in COLORS) for _, phase in rows)
    for number, (label, phase) in enumerate(rows):
        y, x = 60 + ROW * number, float(LEFT)
        yield f'<text x="10" y="{y + 13}">{label}</text>'
        for name, color in COLORS.items():
            width = phase["cpu_s"][name] / most * (W - LEFT - RIGHT)
            yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="18" fill="{color}"/>'
            x += width
        total = sum(phase["cpu_s"][name] for name in COLORS) / n * 1000
        syncs = phase["calls"].get("sync", 0) / n
        yield f'<text x="{x + 6:.1f}" y="{y + 13}">{total:.0f} ms · {syncs:.1f}</text>'


if __name__ == "__main__":
    main()
