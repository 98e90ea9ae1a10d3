"""The main job: the week's baskets through the backbone, its real failures, and what an operator does about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from mainstem.app.backbone import Backbone
from mainstem.cli.demo.books import Expected, booked, count_payments, differences
from mainstem.cli.demo.company import ACCOUNT_CONSTRAINT, INTEGRATION, NOT_IN_CHART, Company
from mainstem.errors import Unreachable
from mainstem.flow.letter_status import WAITING
from mainstem.observe import metrics
from mainstem.project.model import SinkSpec
from mainstem.recover import redrive as redriving
from mainstem.recover.causes import CauseGroup, group_by_cause
from mainstem.recover.letters import Letter, read_letters
from mainstem.recover.selection import Selection
from mainstem.recover.wishes import Wishes
from mainstem.testing.payment_provider import PaymentProvider, baskets

READY_S = 60.0
QUIET_S = 60.0
"""How long nothing may move before the demo gives up."""
LOOK_S = 0.2
SOURCE = "till"
SINK = "journal"


@dataclass(frozen=True)
class Result:
    """The week in figures. `dead_letters` is what is left at the end; money in the data's currency."""

    baskets: int
    delivered: int
    redriven: int
    dead_letters: int
    refused_at_first: int
    journal_lines: int
    journal_total: str
    seconds: float
    """From the first webhook to the last entry, the redrive not counted."""
    events_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    """From a webhook's arrival to its entry's being visible."""
    sample: str
    """The event id of one payment, to look up."""
    problems: list[str]


class Week:
    """One run. `say` gets what happens, a line each."""

    def __init__(self, backbone: Backbone, company: Company, wanted: Expected, say: Callable[[str], None]) -> None:
        self._backbone = backbone
        self._company = company
        self._wanted = wanted
        self._say = say
        self._config = backbone.services.config
        integration = backbone.services.project.integration(INTEGRATION)
        sink = integration.sink(SINK) if integration else None
        if sink is None:
            raise ValueError(f"the demo's project has no sink {INTEGRATION}.{SINK}")
        self._sink: SinkSpec = sink

    async def run(self, gateway_url: str, rate: float | None) -> Result:
        """The whole week. Raises Unreachable when nothing moves any more."""
        await self._ready()
        began = monotonic()
        sent = await PaymentProvider().deliver(
            baskets(self._company.data),
            url=f"{gateway_url}/webhooks/{INTEGRATION}/{SOURCE}",
            secret=self._company.signing_secret,
            rate=rate,
        )
        letters = await self._settled(sent.delivered)
        seconds = monotonic() - began
        figures = self._backbone.figures()
        self._explain(letters)
        redriven = await self._redrive(letters)
        return await self._result(len(letters), redriven, seconds, (figures["p50_ms"], figures["p99_ms"]))

    async def _ready(self) -> None:
        """Not one basket before the catalogue is there: what it does not know would be department UNKNOWN."""
        board = self._backbone.services.board
        try:
            async with asyncio.timeout(READY_S):
                await self._backbone.sources_read()
                while not board.is_ready():  # noqa: ASYNC110 - the board is a projection, it has no event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            waiting = {name: part for name, part in board.parts().items() if part.state != "running"}
            why = "; ".join(
                f"{name} is {part.state}: {part.reason or 'no reason given'}" for name, part in waiting.items()
            )
            raise Unreachable(f"the backbone is not ready after {READY_S:.0f} s: {why}") from None

    async def _settled(self, sent: int) -> list[Letter]:
        """Waits until every basket is booked or dead-lettered."""
        last, moved = -1, monotonic()
        while True:
            done = self._counted()
            if done >= sent:
                # Counters say when to look; what counts is what stands in the database and in the topic.
                payments = await asyncio.to_thread(count_payments, self._company.accounting_dsn)
                letters = await asyncio.to_thread(self._letters)
                if payments + len(letters) >= sent:
                    return letters
            if done != last:
                last, moved = done, monotonic()
            if monotonic() - moved > QUIET_S:
                raise Unreachable(f"{done} of {sent} baskets arrived, and then nothing for {QUIET_S:.0f} s")
            await asyncio.sleep(LOOK_S)

    def _counted(self) -> int:
        return metrics.count(INTEGRATION, SINK, "delivered") + metrics.count(INTEGRATION, SINK, "dead_lettered")

    def _letters(self) -> list[Letter]:
        return list(read_letters(self._config, self._sink.dead_letters).letters)

    def _explain(self, letters: list[Letter]) -> None:
        for group in group_by_cause(letters):
            self._say(f"{group.letters} dead letters of cause {group.cause}: {group.sample}")

    async def _redrive(self, letters: list[Letter]) -> int:
        causes = [group for group in group_by_cause(letters) if _is_missing_account(group)]
        if not causes:
            return 0
        self._say(f"the operator adds the account {NOT_IN_CHART} and redrives that cause")
        await asyncio.to_thread(self._company.add_account, NOT_IN_CHART)
        box = await asyncio.to_thread(read_letters, self._config, self._sink.dead_letters)
        plan = redriving.plan(box, Selection(causes=frozenset(group.cause for group in causes)))
        job = redriving.planned(plan, box, redriving.Terms(who="the demo's operator"))
        await redriving.JOBS.keep(self._config, job)
        async with Wishes(self._config) as wishes:
            ended = await redriving.run(self._config, job, wishes, redriving.Run(self._sink.redrive))
        settled = await asyncio.to_thread(
            redriving.await_outcome, self._config, ended.job, ended.letters, timeout_s=QUIET_S
        )
        self._say(f"{settled.delivered} delivered, {len(settled.failed_again)} failed again")
        return settled.delivered

    async def _result(
        self, refused: int, redriven: int, seconds: float, latency: tuple[float | None, float | None]
    ) -> Result:
        books = await asyncio.to_thread(booked, self._company.accounting_dsn)
        left = [letter for letter in await asyncio.to_thread(self._letters) if letter.state == WAITING]
        problems = differences(self._wanted.books, books)
        expected_left = len(self._wanted.never)
        expected_redriven = len(self._wanted.not_yet)
        if len(left) != expected_left:
            problems.append(f"{expected_left} dead letters must be left, there are {len(left)}")
        if redriven != expected_redriven:
            problems.append(f"{expected_redriven} dead letters must be redriven, {redriven} were")
        return Result(
            baskets=self._wanted.baskets,
            delivered=len(books.entries),
            redriven=redriven,
            dead_letters=len(left),
            refused_at_first=refused,
            journal_lines=books.lines,
            journal_total=str(books.credits),
            seconds=round(seconds, 2),
            events_per_s=round(self._wanted.baskets / seconds, 1),
            p50_ms=latency[0],
            p99_ms=latency[1],
            sample=f"{INTEGRATION}.{SOURCE}:msg_{min(self._wanted.books.entries, default='')}",
            problems=problems,
        )


def _is_missing_account(group: CauseGroup) -> bool:
    return ACCOUNT_CONSTRAINT in group.sample
