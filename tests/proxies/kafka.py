"""A proxy in front of one Kafka broker that knows which request is which: any one of them can meet a fate."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from tests.proxies.kafka_wire import Api, Asked, asked, correlation_of, error_of, framed, read_frame, with_error
from tests.proxies.tcp import TcpProxy, Way

ANSWER_S = 10.0


class Fate(Enum):
    """What happens to a request or to its answer."""

    REQUEST_HELD = auto()
    ANSWER_HELD = auto()
    ANSWER_DROPPED = auto()
    ANSWER_CUT = auto()
    ANSWER_CHANGED = auto()


@dataclass
class Held:
    """A request or an answer that a proxy holds back."""

    arrived: threading.Event = field(default_factory=threading.Event)
    """Set as soon as there is one."""
    _may_go: asyncio.Event = field(default_factory=asyncio.Event)
    _gone: threading.Event = field(default_factory=threading.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    error: int | None = None
    """What the broker said to a request whose client was gone when it was let go."""

    def release(self) -> None:
        """Lets it go. A request has been answered when this returns, whether its client is still there or not."""
        assert self._loop is not None, "nothing is held yet"
        self._loop.call_soon_threadsafe(self._may_go.set)
        assert self._gone.wait(ANSWER_S)


@dataclass
class _Rule:
    """The next `left` requests of a kind meet a fate."""

    api: Api
    fate: Fate
    left: float
    error: int = 0
    held: Held = field(default_factory=Held)


@dataclass
class _Link:
    """One connection: its requests that are not answered yet, by correlation id; what is to become of the answers."""

    pending: dict[int, tuple[Asked, _Rule | None, Held | None]] = field(default_factory=dict)


_link: ContextVar[_Link] = ContextVar("link")


class KafkaProxy(TcpProxy):
    """It puts its own port where the broker names its own: a client finds no way around it.

    In every answer of Kafka's protocol the port, in 4 bytes, follows the host.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._named = host.encode() + port.to_bytes(4, "big")
        self._rules: list[_Rule] = []
        self._held: list[Held] = []
        self._late: set[asyncio.Task[None]] = set()
        self.seen: dict[int, int] = {}
        """How many requests of each kind came by."""

    def hold_request(self, api: Api) -> Held:
        """The next such request is held back until it is released, also when its client is gone by then."""
        return self._add(_Rule(api, Fate.REQUEST_HELD, 1)).held

    def hold_answer(self, api: Api) -> Held:
        """The next such request reaches the broker; its answer is held back until it is released."""
        return self._add(_Rule(api, Fate.ANSWER_HELD, 1)).held

    def drop_answer(self, api: Api, *, cut: bool = False, times: float = 1) -> None:
        """The next such requests reach the broker; their answers get lost, the connection with them if `cut`."""
        self._add(_Rule(api, Fate.ANSWER_CUT if cut else Fate.ANSWER_DROPPED, times))

    def answer_with(self, api: Api, error: int, *, times: float = 1) -> None:
        """The next such requests reach the broker; their answers carry this error code instead of the broker's."""
        self._add(_Rule(api, Fate.ANSWER_CHANGED, times, error))

    def clear(self) -> None:
        """What has not met its fate yet meets none."""
        self._rules.clear()

    def release_all(self) -> None:
        """Whatever is held back goes now."""
        for held in self._held:
            self._loop.call_soon_threadsafe(held._may_go.set)
        self._held.clear()

    def _add(self, rule: _Rule) -> _Rule:
        self._rules.append(rule)
        return rule

    def _rule(self, api: int) -> _Rule | None:
        for rule in self._rules:
            if rule.api == api and rule.left > 0:
                rule.left -= 1
                return rule
        return None

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _link.set(_Link())
        await super()._connect(reader, writer)

    async def _close(self) -> None:
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        await super()._close()

    async def _pass_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _link.get()
        with suppress(asyncio.IncompleteReadError):
            while True:
                request = await read_frame(reader)
                said = asked(request)
                self.seen[said.api] = self.seen.get(said.api, 0) + 1
                rule = self._rule(said.api)
                held = rule.held if rule is not None and rule.fate is Fate.REQUEST_HELD else None
                link.pending[said.correlation] = (said, None if held else rule, held)
                if held is None:
                    await self._pass(Way.UP, framed(request), writer)
                else:
                    self._hold_back(held, self._send_late(held, said, request, writer))
        await self._end(Way.UP)

    async def _pass_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _link.get()
        ours = self._target[0].encode() + self.port.to_bytes(4, "big")
        with suppress(asyncio.IncompleteReadError):
            while True:
                answer = (await read_frame(reader)).replace(self._named, ours)
                said, rule, held = link.pending.pop(correlation_of(answer), (None, None, None))
                if held is not None and said is not None:
                    held.error = error_of(said, answer)
                    held._gone.set()
                if rule is None or said is None:
                    await self._pass(Way.DOWN, framed(answer), writer)
                elif rule.fate is Fate.ANSWER_CHANGED:
                    await self._pass(Way.DOWN, framed(with_error(said, answer, rule.error)), writer)
                elif rule.fate is Fate.ANSWER_HELD:
                    self._hold_back(rule.held, self._answer_late(rule.held, answer, writer))
                elif rule.fate is Fate.ANSWER_CUT:
                    return
        await self._end(Way.DOWN)

    def _hold_back(self, held: Held, work: Coroutine[Any, Any, None]) -> None:
        held._loop = self._loop
        self._held.append(held)
        task = self._loop.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        held.arrived.set()

    async def _send_late(self, held: Held, said: Asked, request: bytes, writer: asyncio.StreamWriter) -> None:
        await held._may_go.wait()
        if not writer.is_closing():
            await self._pass(Way.UP, framed(request), writer)
            return
        reader, fresh = await asyncio.open_connection(*self._target)
        fresh.write(framed(request))
        held.error = error_of(said, await read_frame(reader))
        fresh.close()
        held._gone.set()

    async def _answer_late(self, held: Held, answer: bytes, writer: asyncio.StreamWriter) -> None:
        await held._may_go.wait()
        if not writer.is_closing():
            await self._pass(Way.DOWN, framed(answer), writer)
        held._gone.set()
