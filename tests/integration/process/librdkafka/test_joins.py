"""Joins of two topics, on real Kafka, while workers are killed around their commits."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.integration.process.librdkafka.conftest import MakeField
from tests.integration.process.librdkafka.field import KEYS, Fault, Field
from tests.integration.process.librdkafka.worker_tables import JOIN_WINDOW, right_of

pytestmark = pytest.mark.stack

SMALL_EPOCHS = {"epoch_events": 40, "batch": 40}
KILLS: list[Fault] = [("before offsets", "kill", 0.3), ("before commit", "kill", 0.3), ("after commit", "kill", 0.3)]
BEGIN_S = 1_700_000_000
FAR_S = BEGIN_S + 10**6
END = 10**6
"""The ids from which on events only move the time."""

Events = list[dict[str, Any]]


def made(count: int, *, every_s: float, keys: int) -> Events:
    """Events of the first `keys` keys, that far apart."""
    return [{"id": n, "key": f"k{n % keys}", "at_s": BEGIN_S + n * every_s} for n in range(count)]


def end_of(side: int) -> Events:
    """One later event under each key, so that each partition gets one."""
    return [{"id": END + side * 1_000 + n, "key": f"k{n}", "at_s": FAR_S} for n in range(KEYS)]


def belonging(left: Events, right: Events) -> list[tuple[int | None, int | None]]:
    pairs = [
        (one["id"], other["id"])
        for one in left
        for other in right
        if one["key"] == other["key"]
        and -JOIN_WINDOW.before_ms <= round((other["at_s"] - one["at_s"]) * 1000) <= JOIN_WINDOW.after_ms
    ]
    lefts, rights = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    alone_left = [(one["id"], None) for one in left if one["id"] not in lefts]
    alone_right = [(None, other["id"]) for other in right if other["id"] not in rights]
    return [*pairs, *alone_left, *alone_right]


def read(field: Field) -> list[tuple[int | None, int | None]]:
    """Without those that only move the time."""
    found = [(output["left"], output["right"]) for output in field.outputs()]
    return [pair for pair in found if all(number is None or number < END for number in pair)]


@pytest.mark.parametrize(("store", "workers"), [("memory://", ["w1"]), ("rocksdb://", ["w1", "w2"])])
def test_every_pair_and_every_event_that_stays_alone_comes_out_once_while_workers_are_killed(
    make_field: MakeField, store: str, workers: list[str]
) -> None:
    field = make_field(mode="streams join", store=store, faults=list(KILLS), engine=SMALL_EPOCHS)
    field.create(right_of(field.reads))
    left, right = made(1_000, every_s=0.25, keys=KEYS), made(400, every_s=0.6, keys=KEYS - 3)
    expected = belonging(left, right)
    field.publish([*left, *end_of(0)])  # one side is there from the beginning: it is read far ahead of the other
    field.start(*workers)
    field.publish([*right, *end_of(1)], right_of(field.reads))
    field.tend_until(lambda: not field.faults and len(read(field)) >= len(expected))
    field.stop()

    assert field.ends[-9] == len(KILLS), field.report()
    assert Counter(read(field)) == Counter(expected), field.report()
    assert {None in pair for pair in expected} == {True, False}
    kept = [key for side in ("left", "right") for key in living(field, f"{field.app}-pairs-{side}-changelog")]
    assert len(kept) == 2 * KEYS, "what is over is deleted"


def test_a_join_of_tables_is_a_table_while_workers_are_killed(make_field: MakeField) -> None:
    field = make_field(mode="tables join", faults=list(KILLS), engine=SMALL_EPOCHS)
    field.create(right_of(field.reads))
    left, right = made(1_000, every_s=0, keys=KEYS), made(600, every_s=0, keys=KEYS - 3)
    field.publish(left)
    field.start("w1")
    field.publish(right, right_of(field.reads))
    last_left, last_right = ({event["key"]: event["id"] for event in side} for side in (left, right))
    expected = {key: {"left": number, "right": last_right.get(key)} for key, number in last_left.items()}

    field.tend_until(lambda: not field.faults and rows(field) == expected)
    field.stop()

    assert field.ends[-9] == len(KILLS), field.report()
    seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, value, _ in field.whole(field.writes):
        row = json.loads(value or b"null")
        seen[(key or b"").decode()].append((row["left"], -1 if row["right"] is None else row["right"]))
    for states in seen.values():  # each change once, and none goes back: a table that only ever gets newer
        assert states == sorted(set(states)), field.report()


def rows(field: Field) -> dict[str, Any]:
    found = {(key or b"").decode(): value for key, value, _ in field.whole(field.writes)}
    return {key: json.loads(value) for key, value in found.items() if value is not None}


def living(field: Field, topic: str) -> list[bytes]:
    last = {key or b"": value for key, value, _ in field.whole(topic)}
    return [key for key, value in last.items() if value is not None]
