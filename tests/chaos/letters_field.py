"""Where dead letters are put under faults: a ledger with one append-only sink, its worker, traffic and an operator."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import ExitStack
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from mainstem.flow.letter_status import DROPPED, WAITING
from mainstem.recover.letters import Letter, LetterBox, read_letters
from tests.backbone_process import BackboneProcess, until
from tests.chaos.database import Database
from tests.chaos.ledger import APPENDED, KEYED, SECRET, Ledger, open_ledger, rows
from tests.chaos.letters_operator import Operator
from tests.chaos.letters_traffic import Traffic
from tests.chaos.oracle import Mark
from tests.chaos.recovery import Recovery
from tests.chaos.scenario import Ground

RULE = f"ALTER TABLE {APPENDED} ADD CONSTRAINT amount_is_not_negative CHECK (amount >= 0) NOT VALID"
NO_RULE = f"ALTER TABLE {APPENDED} DROP CONSTRAINT amount_is_not_negative"
WRITTEN = f"SELECT count(*) FROM {APPENDED}"
SETTLES_WITHIN_S = 300.0


class LettersField:
    """Use as a context manager."""

    def __init__(self, ground: Ground, dice: random.Random) -> None:
        self.faults: Counter[str] = Counter()
        self.recovery = Recovery()
        self._ground = ground
        self._dice = dice

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            ground = self._ground
            self.database = stack.enter_context(Database(ground.home / "target", ground.free_port()))
            self.ledger = open_ledger(ground.folder / f"ledger-{ground.tag}", ground.tag, ground.stack, self.database)
            _leave_one_sink(self.ledger)
            self.connection = stack.enter_context(self.database.connect(self.ledger.database))
            services = stack.enter_context(self.ledger.services())
            self.config = services.config
            secret = {SECRET: self.database.dsn(self.ledger.database), "MAINSTEM_KAFKA__SESSION_TIMEOUT_S": "2"}
            port = ground.free_port()
            self.worker = stack.enter_context(BackboneProcess(self.ledger.folder, port, env=secret))
            self.worker.start("--only", "sinks").until_ready()
            encoder = services.codec.encoder(self.ledger.topic)
            self.traffic = stack.enter_context(Traffic(self.config, self.ledger.topic, encoder, self._dice))
            self.operator = Operator(self.ledger.folder, ground.folder, self.dlq)
            stack.callback(self.operator.go)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is None:
            self.traffic.stop()
            self.worker.kill()
            self.ledger.remove(self.database)
        self._stack.__exit__(kind, error, where)

    @property
    def dlq(self) -> str:
        return self.ledger.dlq(APPENDED)

    def struck(self, fault: str) -> None:
        self.faults[fault] += 1
        self.recovery.strike(fault, monotonic())

    def kill_worker(self) -> None:
        """kill -9 of the sink's worker, which is started again at once."""
        self.worker.kill()
        self.struck("kill sink")
        self.worker.start("--only", "sinks")

    def set_rule(self, *, holds: bool) -> None:
        """Whether the database refuses negative amounts."""
        self.connection.execute((RULE if holds else NO_RULE).encode())

    def box(self) -> LetterBox:
        return read_letters(self.config, self.dlq)

    def waiting(self) -> list[Letter]:
        return [letter for letter in self.box().letters if letter.state == WAITING]

    def dropped(self) -> set[str]:
        return {letter.event_id for letter in self.box().letters if letter.state == DROPPED}

    def written(self) -> list[Mark]:
        return rows(self.connection, APPENDED)

    def watch(self, seconds: float) -> None:
        """Lets time pass, and sees how the work goes on."""
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            self.look()
            sleep(0.1)

    def look(self) -> bool:
        """Sees how far the work is; whether every fault has been recovered from."""
        found = self.connection.execute(WRITTEN).fetchone()
        self.recovery.see({(APPENDED, 0): int(found[0]) if found else 0}, monotonic())
        return self.recovery.is_over

    def until_settled(self) -> None:
        """Every record that was published is written, or waits, or was dropped. Raises when that takes too long."""
        published = {mark.event_id for mark in self.traffic.published}

        def is_settled() -> bool:
            self.look()
            done = {mark.event_id for mark in self.written()} | {letter.event_id for letter in self.box().letters}
            return published <= done

        until(is_settled, within_s=SETTLES_WITHIN_S, what=lambda: self.worker.log()[-2000:])


def _leave_one_sink(ledger: Ledger) -> None:
    """The one whose table would take any second copy."""
    file = ledger.folder / "integrations" / f"{ledger.integration}.yaml"
    file.write_text(file.read_text().split(f"  - name: {KEYED}\n")[0])
