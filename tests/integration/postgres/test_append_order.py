"""Rows that are appended stand in the order of their events, whatever was rolled back on the same connection before."""

from __future__ import annotations

import random
from collections.abc import Sequence

import psycopg
import pytest

from connectors.postgres import PostgresSink
from mainstem import Event, Mapped, Progress, Secret, SinkIdentity

pytestmark = pytest.mark.stack

SEED = 1
BATCHES = 100


def records(seqs: Sequence[int]) -> list[Mapped]:
    rows = [{"key": f"account-{seq * 37 % 5000}", "seq": seq, "filling": "x" * (seq % 40)} for seq in seqs]
    return [Mapped(Event(id=str(row["seq"])), [row]) for row in rows]


async def test_batches_are_appended_in_order_whatever_was_rolled_back_between_them(
    database: str, connection: psycopg.Connection
) -> None:
    """PostgreSQL fills the room that rolled-back rows leave in a table: the staging table is such a table."""
    connection.execute("CREATE TABLE target (n bigserial, key text, seq int, filling text)")
    dice = random.Random(SEED)
    async with PostgresSink(dsn=Secret(database), table="target").open(SinkIdentity("test", "sink")) as target:
        expected = 0
        for _ in range(BATCHES):
            count = dice.randrange(1, dice.choice([100, 1200, 5000]))
            async with target.transaction() as transaction:
                await transaction.write(records(range(expected, expected + count)))
                if dice.random() < 0.4:
                    await transaction.commit(Progress([]))
                    expected += count
            async with target.transaction() as transaction:
                await transaction.commit(Progress([]))  # one that writes nothing leaves the staging table as it was
    found = [seq for (seq,) in connection.execute("SELECT seq FROM target ORDER BY n")]
    assert found == list(range(expected))
