"""Faults: each has a name and a `strike`. What must be undone later is put on an agenda: no strike waits for it.

Faults of processes are in crew.py (workers), database.py and broker.py; those of COMMITs in postgres_proxy.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Protocol

from tests.chaos.postgres_proxy import Fate, PostgresProxy
from tests.tcp_proxy import TcpProxy, Way

MEETS_FATE_WITHIN_S = 3.0


class Fault(Protocol):
    """One kind of fault, ready to strike."""

    @property
    def name(self) -> str:
        """Its kind, as tallies count it."""

    def strike(self) -> bool:
        """Does it now. False where there was nothing to strike at: then it does not count."""

    def is_over(self) -> bool:
        """Whether what it did has been undone: the time of recovery is counted from then."""


@dataclass(frozen=True, slots=True)
class Act:
    """A fault that is one call."""

    name: str
    act: Callable[[], bool]
    over: Callable[[], bool] = lambda: True

    def strike(self) -> bool:
        return self.act()

    def is_over(self) -> bool:
        return self.over()


class Agenda:
    """What is to be done when its time has come: healing, mostly."""

    def __init__(self) -> None:
        self._entries: list[tuple[Callable[[], bool], Callable[[], object]]] = []

    def when(self, holds: Callable[[], bool], act: Callable[[], object]) -> None:
        """As soon as it holds, once."""
        self._entries.append((holds, act))

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        at = monotonic() + seconds
        self.when(lambda: monotonic() >= at, act)

    def do_due(self) -> None:
        """To be called again and again."""
        entries, self._entries = self._entries, []
        for holds, act in entries:
            if holds():
                act()
            else:
                self._entries.append((holds, act))

    @property
    def is_done(self) -> bool:
        return not self._entries


class Spell:
    """A fault that lasts: it begins, and is ended by the agenda."""

    def __init__(
        self, name: str, agenda: Agenda, for_s: float, begin: Callable[[], object], end: Callable[[], object]
    ) -> None:
        self.name = name
        self._agenda = agenda
        self._for_s = for_s
        self._begin = begin
        self._end = end
        self._is_over = False

    def strike(self) -> bool:
        self._begin()
        self._agenda.after(self._for_s, self._heal)
        return True

    def is_over(self) -> bool:
        return self._is_over

    def _heal(self) -> None:
        self._end()
        self._is_over = True


def cut(proxy: TcpProxy) -> Fault:
    """Resets every connection; new ones are taken."""
    return Act("cut", _always(proxy.cut))


def truncate(proxy: TcpProxy, after_bytes: int) -> Fault:
    """The next answer ends in the middle, and its connection with it."""
    return Act("answer truncated", _always(lambda: proxy.truncate(after_bytes)))


def slow(proxy: TcpProxy, agenda: Agenda, delay_s: float, for_s: float) -> Fault:
    """Everything arrives `delay_s` later, in both directions, for a while."""
    return Spell("slow", agenda, for_s, lambda: proxy.delay(delay_s), lambda: proxy.delay(0))


def down(proxy: TcpProxy, agenda: Agenda, for_s: float) -> Fault:
    """Connections are reset and refused, for a while: to its client the server is down."""
    return Spell("down", agenda, for_s, proxy.refuse, proxy.resume)


def half_open(proxy: TcpProxy, agenda: Agenda, for_s: float) -> Fault:
    """Connections stay up and are taken, and nothing arrives in either direction, for a while; then they are reset."""
    return Spell("half-open", agenda, for_s, lambda: proxy.swallow(*Way), proxy.resume)


def hold_back(proxy: TcpProxy, agenda: Agenda, for_s: float) -> Fault:
    """The server's answers are late by up to that."""
    return Spell("answers held back", agenda, for_s, proxy.hold, proxy.resume)


def lose_commit(proxy: PostgresProxy, fate: Fate, late_s: float = 0.0) -> Fault:
    """The next COMMIT meets that fate; waits a moment for one to come by."""

    def act() -> bool:
        before, deadline = proxy.doomed, monotonic() + MEETS_FATE_WITHIN_S
        proxy.doom(fate, late_s)
        while proxy.doomed == before and monotonic() < deadline:
            sleep(0.01)
        proxy.doom(None)
        return proxy.doomed > before

    return Act(fate.value, act)


class Deck:
    """Kinds of faults as a deck of cards: all of them come up before the first comes up again as often as it may."""

    def __init__(self, kinds: Sequence[tuple[int, Callable[[], Fault | None]]], dice: random.Random) -> None:
        """How many cards each kind has, and what makes one: nothing where there is nothing to strike at just now."""
        self._all = [make for count, make in kinds for _ in range(count)]
        self._dice = dice
        self._left: list[Callable[[], Fault | None]] = []

    def strike(self, strike: Callable[[Fault], bool]) -> None:
        """One card; it is put back where there was nothing to strike at."""
        if not self._left:
            self._left = self._dice.sample(self._all, len(self._all))
        make = self._left.pop()
        fault = make()
        if fault is None or not strike(fault):
            self._left.insert(self._dice.randrange(len(self._left) + 1), make)


def _always(act: Callable[[], object]) -> Callable[[], bool]:
    def strike() -> bool:
        act()
        return True

    return strike
