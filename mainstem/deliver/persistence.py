"""How a sink's worker goes on in spite of everything: it waits, or pauses, and gives no record up for that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mainstem.deliver.plan import SinkPlan
from mainstem.deliver.report import Report
from mainstem.errors import FUNCTION_FAILED, Fenced, MainstemError, Misconfigured, Retryable, Unreachable
from mainstem.flow.breaker import OUTAGE

PROBE_S = 10.0
"""How often a paused sink looks whether the person has mended what it needs."""
RETAKE_S = 2.0
"""After being fenced: long enough for a zombie to hear from the group that it has lost its partitions."""


class Stopped(Exception):
    """The worker was told to stop while it waited."""


class Persistence:
    """One worker's. `on_doubt` is called when the outcome of an attempt is unknown."""

    def __init__(self, plan: SinkPlan, report: Report, on_doubt: Callable[[], None] = lambda: None) -> None:
        self._plan = plan
        self._report = report
        self._on_doubt = on_doubt
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Breaks a wait off: whoever waits gets Stopped."""
        self._stopping.set()

    async def persist(self, attempt: Callable[[], Awaitable[Any]], is_ours: Callable[[], bool]) -> None:
        """Attempts until it works, or is not ours any more. Raises Fenced, and Stopped."""
        failures = 0
        while is_ours():
            try:
                await attempt()
            except Fenced:
                raise
            except Retryable as error:
                failures += 1
                if isinstance(error, Unreachable):
                    self._on_doubt()
                self._report.waits(error)
                policy = OUTAGE if isinstance(error, Unreachable) else self._plan.retry
                await self.wait(policy.pause(failures, wish_s=error.after_s))
            except Exception as error:  # noqa: BLE001 - the boundary to connectors: a bug pauses and keeps the record
                self._on_doubt()
                self.pauses(error)
                await self.wait(PROBE_S)
                if isinstance(error, MainstemError):
                    await self.stop_if_outdated()
            else:
                return

    def pauses(self, error: Exception) -> None:
        """Says why nothing goes on until a person has done something: an error of ours, or anybody's bug."""
        if isinstance(error, MainstemError):
            self._report.pauses(error)
            return
        said = f"{self._plan.part} failed with {type(error).__name__}"
        self._report.pauses(Misconfigured(said, code=FUNCTION_FAILED), error)

    async def stop_if_outdated(self) -> None:
        """The person may have corrected a secret: it is read by whoever builds the sink anew. Raises Stopped then."""
        if await asyncio.to_thread(self._plan.is_outdated):
            self.stop()
            raise Stopped

    async def wait(self, seconds: float) -> None:
        """Raises Stopped."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped
