"""When to try again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter, so that workers that failed together do not come back together.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    attempts: int = 8
    first_s: float = 0.5
    max_s: float = 300.0

    def is_exhausted(self, failures: int) -> bool:
        """Whether that many failures leave no attempt."""
        return failures >= self.attempts

    def pause(
        self, failures: int, *, wish_s: float | None = None, draw: Callable[[float, float], float] = random.uniform
    ) -> float:
        """Seconds to wait after the n-th failure in a row (from 1); the target's own wish is obeyed."""
        ceiling = min(self.max_s, self.first_s * 2 ** min(failures - 1, 40))
        waits = draw(ceiling / 10, ceiling)
        return waits if wish_s is None else max(wish_s, 0.0) + draw(0, ceiling / 10)
