"""Dead letters under everything: redrives killed in the middle and resumed, started twice at once, the sink's worker
killed meanwhile, some letters dropped, while live records of the same keys go on coming.

A rule of the database parks a thousand records of two hundred keys; it is lifted, and they are redriven. The table
would take any second copy. Every record is judged: each effect once, in its key's order, nothing of a dropped one.
"""

from __future__ import annotations

import random
from time import monotonic

from tests.backbone_process import until
from tests.chaos.letters_field import SETTLES_WITHIN_S, LettersField
from tests.chaos.letters_operator import Command
from tests.chaos.oracle import History, Verdict, judge
from tests.chaos.scenario import Ground, Tally

KEYS, EACH = 200, 5
FAULTS_A_WAVE = 10
DROPPED_A_WAVE = 25
RATE = ("--rate", "100", "--wait", "0")
"""Several transactions in each redrive."""
KILLS_AT_MOST = 4
"""The highest hit of a failpoint at which a redrive dies."""


class Letters:
    """See the module."""

    name = "letters"

    def run(self, ground: Ground, faults: int, dice: random.Random) -> Tally:
        began = monotonic()
        with LettersField(ground, dice) as field:
            waves = 0
            while field.faults.total() < faults:
                due = min(faults - field.faults.total(), FAULTS_A_WAVE)
                _wave(field, waves, due, dice)
                waves += 1
            field.traffic.stop()
            _deliver_the_rest(field)
            until(field.look, within_s=SETTLES_WITHIN_S)
            verdict = _judged(field)
            return Tally.of(
                self.name,
                verdict,
                faults=dict(field.faults),
                records=len(field.traffic.published),
                longest_recovery_s=round(field.recovery.longest_s, 1),
                seconds=round(monotonic() - began, 1),
                notes=(f"{len(field.dropped())} letters were dropped in {waves} waves",),
            )


SCENARIO = Letters()


def _wave(field: LettersField, number: int, faults: int, dice: random.Random) -> None:
    """A thousand dead letters and what is done about them."""
    if number:
        field.set_rule(holds=True)
    accounts = [f"w{number}-{n}" for n in range(KEYS)]
    field.traffic.wave(accounts, EACH)
    until(lambda: len(field.waiting()) >= KEYS * EACH, within_s=SETTLES_WITHIN_S, what=lambda: len(field.waiting()))
    _drop_some(field, dice)
    field.set_rule(holds=False)
    enough = field.faults.total() + faults - 1  # one has struck already
    while field.faults.total() < enough and field.waiting():
        dice.choices([_kill_redrive, _kill_worker_meanwhile, _redrive_twice], weights=(4, 2, 1))[0](field, dice)
    field.traffic.turn_away()
    _deliver_the_rest(field)


def _drop_some(field: LettersField, dice: random.Random) -> None:
    """By a command that is killed behind its transaction as often as before it, and resumed; all of them have to go."""
    chosen = [letter.event_id for letter in dice.sample(field.waiting(), DROPPED_A_WAVE)]
    point = dice.choice(["redrive.before_commit", "redrive.after_commit"])
    command = field.operator.drop(chosen, arms=f"{point}=kill#1")
    if command.ends():
        field.faults["kill drop"] += 1
    if command.job is not None:
        field.operator.resume_drop(command.job).ends()
    until(lambda: set(chosen) <= field.dropped(), within_s=SETTLES_WITHIN_S, what=lambda: set(chosen) - field.dropped())


def _kill_redrive(field: LettersField, dice: random.Random) -> None:
    """At a failpoint, on either side of a transaction; a redrive that has less to do ends by itself."""
    point = dice.choice(["redrive.before_commit", "redrive.after_commit"])
    command = field.operator.redrive(*RATE, arms=f"{point}=kill#{dice.randint(1, KILLS_AT_MOST)}")
    _attend(field, command)
    if field.operator.finish(command):
        field.struck("kill redrive")


def _kill_worker_meanwhile(field: LettersField, dice: random.Random) -> None:
    command = field.operator.redrive(*RATE)
    field.watch(dice.uniform(1.0, 4.0))
    field.kill_worker()
    _attend(field, command)
    field.operator.finish(command)


def _redrive_twice(field: LettersField, dice: random.Random) -> None:
    """The same letters by two commands at once, of which one may be fenced, or refused; and the sink may die too."""
    twins = [field.operator.redrive(*RATE) for _ in range(2)]
    field.watch(dice.uniform(0.5, 3.0))
    if dice.random() < 0.5:
        field.kill_worker()
    for command in twins:
        _attend(field, command)
        field.operator.finish(command)
    field.faults["redrive twice"] += 1


def _attend(field: LettersField, command: Command) -> None:
    while not command.is_over:
        field.watch(0.2)


def _deliver_the_rest(field: LettersField) -> None:
    """Redrives until nothing waits any more; live records may come to wait behind others meanwhile."""
    deadline = monotonic() + SETTLES_WITHIN_S
    while True:
        field.until_settled()
        if not field.waiting():
            return
        if monotonic() > deadline:
            raise RuntimeError(f"{len(field.waiting())} letters still wait: {field.worker.log()[-500:]}")
        field.operator.finish(field.operator.redrive("--wait", "10"))


def _judged(field: LettersField) -> Verdict:
    history = History(published=field.traffic.published, delivered=field.written(), dropped=field.dropped())
    return judge(history)
