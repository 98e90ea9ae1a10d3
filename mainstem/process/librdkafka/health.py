"""How a worker is doing: what the watchdog, an observer and a readiness probe are told."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from mainstem.process.librdkafka.account import Account
from mainstem.process.librdkafka.fetching import FetchThread
from mainstem.process.librdkafka.progress import Progress
from mainstem.process.librdkafka.pulse import RESTORE_S, Pulse
from mainstem.process.librdkafka.rebalancing import Rebalance
from mainstem.process.librdkafka.watchdog import Watchdog

FETCHED = "what was fetched"


class Health:
    """See the module."""

    def __init__(self, app: Any, fetching: FetchThread, account: Account, rebalance: Rebalance) -> None:
        self._app = app
        self._options = app.engine
        self._fetching = fetching
        self._account = account
        self._rebalance = rebalance
        self._watchdog = Watchdog(
            self._options.stall_s,
            waiting=self._waiting,
            turns=lambda: fetching.turns,
            reaches_kafka=app.transport.admin.is_there,
            agents=app.agents.human_tracebacks,
            ends=self._stalled,
        )
        self._pulse = Pulse(app, account.flights, self._options.observer, account.tell)

    def start(self) -> None:
        self._watchdog.start()

    def stop(self) -> None:
        self._watchdog.stop()

    def pausing(self) -> AbstractContextManager[None]:
        """See `App.pausing`."""
        return self._watchdog.pausing()

    async def run(self, sleep: Callable[[float], Any], is_stopping: Callable[[], bool]) -> None:
        """Looks at the lag and at what is left to restore, until the worker stops."""
        while not is_stopping():
            rebalance, due_s = self._rebalance, RESTORE_S
            if rebalance.is_assigned:
                due_s = await self._pulse.beat(set(rebalance.held), is_restored=rebalance.is_running)
            await sleep(due_s)

    @property
    def progress(self) -> Progress:
        return Progress(
            is_assigned=self._rebalance.is_assigned,
            partitions=len(self._rebalance.held),
            is_restored=self._rebalance.is_running,
            commit_age_s=self._watchdog.commit_age_s,
            patience_s=self._options.stall_s / 2,
            behind=self._pulse.behind,
            restoring=self._pulse.restoring,
        )

    def _waiting(self) -> Mapping[Hashable, Hashable]:
        """What the watchdog looks at. Records that nobody delivers are moved by any commit."""
        waiting: dict[Hashable, Hashable] = dict(self._account.waiting())
        if self._fetching.backlog and not self._app.rebalancing:
            waiting[FETCHED] = self._account.commits_made
        return waiting

    def _stalled(self, reason: str) -> None:
        self._account.tell(self._options.observer.stalled, reason)
        self._options.ends(reason)
