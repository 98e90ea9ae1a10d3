"""A thread that looks at the worker from outside of its event loop, and ends the process when it has come to a stop."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryFile
from time import monotonic
from typing import Any, Final

from mainstem.process.librdkafka.stall import Look, Stall

LOOKS: Final = 20
"""In the time that a stall may last."""
LONGEST_S: Final = 1.0
TELL_S: Final = 5.0
"""How long the last words may take: whoever is stuck may hold the log's lock."""

log = logging.getLogger(__name__)


class Watchdog:
    """See the module. `stall` decides; this looks, asks Kafka whether it is there, and says who was doing what."""

    def __init__(
        self,
        limit_s: float,
        *,
        waiting: Callable[[], Mapping[Hashable, Hashable]],
        turns: Callable[[], int],
        reaches_kafka: Callable[[], bool],
        agents: Callable[[], str],
        ends: Callable[[str], Any],
    ) -> None:
        """`waiting` is called in the loop, all others in the thread. `agents` tells where they wait."""
        self._stall = Stall(limit_s)
        self._every_s = min(LONGEST_S, limit_s / LOOKS)
        self._ask_waiting = waiting
        self._turns = turns
        self._reaches_kafka = reaches_kafka
        self._agents = agents
        self._ends = ends
        self._answers = 0
        self._waiting: Mapping[Hashable, Hashable] = {}
        self._is_asked = False
        self._pauses = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="librdkafka-watchdog")

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    @property
    def commit_age_s(self) -> float:
        """See `Stall`."""
        return self._stall.commit_age_s

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Events may wait for as long as this lasts."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1

    def _run(self) -> None:
        last = monotonic()
        while not self._stopped.wait(self._every_s):
            now = monotonic()
            look = Look(self._answers, self._turns(), self._waiting, is_paused=self._pauses > 0)
            reason = self._stall.look(look, now - last)
            last = now
            if reason is not None:
                if self._reaches_kafka():
                    self._end(reason)
                    return
                log.warning("Kafka does not answer, and so: %s", reason)
                self._stall.forgive()
            self._ask()

    def _ask(self) -> None:
        if self._is_asked:
            return
        self._is_asked = True
        try:
            self._loop.call_soon_threadsafe(self._answer)
        except RuntimeError:  # the loop is closed: the worker has ended
            self._stopped.set()

    def _answer(self) -> None:
        self._waiting = self._ask_waiting()
        self._answers += 1
        self._is_asked = False

    def _end(self, reason: str) -> None:
        last_words = threading.Thread(target=self._tell, args=(reason,), daemon=True)
        last_words.start()
        last_words.join(TELL_S)
        if last_words.is_alive():
            os._exit(os.EX_TEMPFAIL)

    def _tell(self, reason: str) -> None:
        log.critical("%s\nThreads:\n%s\nAgents:\n%s", reason, threads(), self._agents())
        self._ends(reason)


def threads() -> str:
    """Where each thread of this process is."""
    with TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read().decode(errors="replace")
