"""The stack's Kafka broker as something that is killed and started again, or stopped and woken."""

from __future__ import annotations

from threading import Thread
from time import sleep

import psutil

from mainstem.devstack.stack import Part
from mainstem.errors import Unreachable
from tests.chaos.journal import Journal
from tests.chaos.scenario import Ground

GONE_WITHIN_S = 30.0


class Broker:
    """One node. What it has confirmed outlives its kills."""

    def __init__(self, ground: Ground, journal: Journal) -> None:
        self._ground = ground
        self._journal = journal
        self._pid = ground.stack.pids[Part.KAFKA]
        self._starting: Thread | None = None

    def kill(self, down_s: float) -> bool:
        """kill -9; a thread of its own starts it again after `down_s`. False while it is down from the last time."""
        if not self.is_up():
            return False
        process = psutil.Process(self._pid)
        process.kill()
        process.wait(GONE_WITHIN_S)
        self._starting = Thread(target=self._start, args=(down_s,), name="broker-start", daemon=True)
        self._starting.start()
        return True

    def stop(self, for_s: float) -> bool:
        """SIGSTOP; a thread of its own wakes it after `for_s`. False while it is down or asleep from the last time."""
        if not self.is_up():
            return False
        process = psutil.Process(self._pid)
        process.suspend()
        self._starting = Thread(target=self._wake, args=(process, for_s), name="broker-wake", daemon=True)
        self._starting.start()
        return True

    def is_up(self) -> bool:
        """Whether it answers."""
        return self._starting is None or not self._starting.is_alive()

    def _wake(self, process: psutil.Process, after_s: float) -> None:
        sleep(after_s)
        process.resume()

    def _start(self, down_s: float) -> None:
        sleep(down_s)
        while True:
            try:
                self._pid = self._ground.restore().pids[Part.KAFKA]
            except Unreachable as error:  # a busy machine: it took longer than a start may take
                self._journal.note(f"the broker does not start: {error.cause}")
            else:
                return
