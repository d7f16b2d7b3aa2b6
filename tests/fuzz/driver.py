"""Tries random inputs with a target for some seconds. An input that breaks a rule is made shorter and saved."""

from __future__ import annotations

import logging
import time
import traceback
from dataclasses import dataclass, field
from random import Random

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.engine import SIZE, Target, TooSlow, attempt, inputs, save
from tests.fuzz.mutations import mutated, shortened
from tests.fuzz.targets import TARGETS

GENERATED, MUTATED = 50, 200  # inputs of one round; to generate one takes longer


@dataclass
class Fuzzing:
    """``found``: each kind of failure once, by its exception and place."""

    target: Target
    tried: int = 0
    found: dict[str, str] = field(default_factory=dict)

    def run(self, first_seed: int, seconds: float) -> None:
        corpus = [path.read_bytes() for path in inputs(self.target)]
        end, number = time.monotonic() + seconds, first_seed
        while time.monotonic() < end:
            self._generate(number)
            random = Random(number)
            for _ in range(MUTATED):
                self.try_input(mutated(random, corpus, self.target.words, SIZE), number)
            number += 1

    def try_input(self, data: bytes, number: int) -> None:
        self.tried += 1
        if (failure := failure_of(self.target, data)) and failure not in self.found:
            shorter = data if "TooSlow" in failure else shortened(data, lambda each: self._fails(each, failure))
            path = save(self.target.directory, shorter)
            self.found[failure] = f"seed {number}: {path}: {failure}"

    def _fails(self, data: bytes, failure: str) -> bool:
        return failure_of(self.target, data) == failure

    def _generate(self, number: int) -> None:
        checks = list(HealthCheck)

        @seed(number)
        @settings(
            max_examples=GENERATED, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=checks
        )
        @given(self.target.generated)
        def generated(data: bytes) -> None:
            self.try_input(data[:SIZE], number)

        generated()


def failure_of(target: Target, data: bytes) -> str:
    """The exception and its place; "" if the input breaks no rule."""
    try:
        attempt(target, data)
    except (Exception, TooSlow) as error:
        frames = traceback.extract_tb(error.__traceback__)
        places = [] if isinstance(error, TooSlow) else [f"{frame.filename}:{frame.lineno}" for frame in frames[-2:]]
        return " at ".join((type(error).__name__, *places))
    return ""


def fuzz(name: str, first_seed: int, seconds: float) -> tuple[int, list[str]]:
    """How many inputs were tried, and the failures."""
    logging.getLogger().addHandler(logging.NullHandler())
    fuzzing = Fuzzing(TARGETS[name])
    fuzzing.run(first_seed, seconds)
    return fuzzing.tried, list(fuzzing.found.values())
