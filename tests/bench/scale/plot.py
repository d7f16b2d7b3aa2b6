"""Draws docs/scale.svg from the committed results: ``.venv/bin/python -m tests.bench.scale.plot``.

Bars: CPU milliseconds per source in each phase, by process, and syncs per source beside those of the trivial hook.
The bars of one phase with different numbers of sources are below each other: equal lengths are linear growth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.scale.results import Run, published
from tests.bench.scale.scenario import Phase

PICTURE = Path(__file__).resolve().parents[3] / "docs/scale.svg"
COLORS = {
    "hook": "#3274d9",
    "pool": "#00a0a0",
    "metacontroller": "#56a64b",
    "kube-apiserver": "#e0b400",
    "etcd": "#e02f44",
    "kube-controller-manager": "#8f3bb8",
}
SHOWN = ("create", "edit", "port", "restart-metacontroller", "restart-hook", "delete")
W, ROW, LEFT, RIGHT = 820, 26, 250, 110


Bar = tuple[str, int, Phase]  # label, number of sources


def main() -> None:
    PICTURE.write_text(picture(published()))


def picture(runs: Sequence[Run]) -> str:
    listed = [
        (f"{name}{'' if hook == 'hook' else f' ({hook})'}, {run.n:,}", run.n, run.hooks[hook][name])
        for hook in dict.fromkeys(hook for run in runs for hook in run.hooks)
        for name in SHOWN
        for run in runs
        if name in run.hooks.get(hook, {})
    ]
    height = 60 + ROW * len(listed) + 16
    counts = ", ".join(f"{run.n:,}" for run in runs)
    title = f"CPU milliseconds per source, and syncs per source, with {counts} sources"
    style = "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {height}"><style>{style}</style>'
        f'<rect width="{W}" height="{height}" fill="#fff"/><text x="10" y="20" class="title">{title}</text>'
        f"{''.join(legend())}{''.join(bars(listed))}</svg>\n"
    )


def legend() -> Iterator[str]:
    x = 10
    for name, color in COLORS.items():
        yield f'<rect x="{x}" y="32" width="10" height="10" fill="{color}"/><text x="{x + 14}" y="41">{name}</text>'
        x += 34 + 7 * len(name)


def bars(listed: Sequence[Bar]) -> Iterator[str]:
    most = max(sum(phase.cpu_s.get(name, 0) for name in COLORS) / n for _, n, phase in listed)
    for number, (label, n, phase) in enumerate(listed):
        y, x = 60 + ROW * number, float(LEFT)
        yield f'<text x="10" y="{y + 13}">{label}</text>'
        for name, color in COLORS.items():
            width = phase.cpu_s.get(name, 0) / n / most * (W - LEFT - RIGHT)
            yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="18" fill="{color}"/>'
            x += width
        total = sum(phase.cpu_s.get(name, 0) for name in COLORS) / n * 1000
        syncs = phase.calls.get("sync", 0) / n
        yield f'<text x="{x + 6:.1f}" y="{y + 13}">{total:.0f} ms · {syncs:.1f}</text>'


if __name__ == "__main__":
    main()
