"""``python -m tests.fuzz``: tries random inputs for some minutes. ``make fuzz`` runs it.

Exit code 1 if an input breaks a rule. It is saved in the corpus, so that the tests replay it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.fuzz.driver import fuzz
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together (default: 10)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9, help="of the first round")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    seconds = options.minutes * 60 / len(names)
    print(f"{seconds:.0f} s for each of {', '.join(names)}; --seed {options.seed}", flush=True)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        running = {name: pool.submit(fuzz, name, options.seed, seconds) for name in names}
        results = {name: each.result() for name, each in running.items()}
    for name, (tried, failures) in results.items():
        print(f"{name}: {tried} inputs, {len(failures)} failures", *failures, sep="\n  ")
    return 1 if any(failures for _, failures in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
