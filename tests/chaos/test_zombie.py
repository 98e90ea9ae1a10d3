"""A worker that was stopped in the middle of a batch wakes up when another one has its work: it writes nothing."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from mainstem.cli.demo.books import booked, differences, expected
from mainstem.devstack import Stack
from mainstem.testing.payment_provider import baskets
from tests.backbone_process import until
from tests.chaos.week import DATA, are_settled, backbone_of, letter_keys, open_books, send
from tests.demo_copy import DemoCopy

pytestmark = pytest.mark.stack

FIRST, THEN = 300, 200
ENTRIES = """
CREATE TABLE entries_written (payment_id text);
CREATE FUNCTION note_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO entries_written VALUES (NEW.payment_id); RETURN NULL; END $$;
CREATE TRIGGER note_entry AFTER INSERT ON journal_line
    FOR EACH ROW WHEN (NEW.line_no = 0) EXECUTE FUNCTION note_entry();
"""
WAITS_FOR_A_LOCK = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name LIKE 'mainstem.%' AND datname = current_database() AND wait_event_type = 'Lock'
"""


@contextmanager
def nobody_writes(dsn: str) -> Iterator[psycopg.Connection]:
    """No entry can be written as long as the block runs: its accounts cannot be looked up."""
    with psycopg.connect(dsn) as connection, connection.transaction():
        connection.execute("LOCK TABLE chart_of_accounts IN EXCLUSIVE MODE")
        yield connection


def count(connection: psycopg.Connection, query: str) -> int:
    found = connection.execute(query.encode()).fetchone()
    return int(found[0]) if found else 0


def writes_of(demo: DemoCopy) -> Counter[str]:
    """How often each payment's entry was written, in transactions that were committed."""
    with psycopg.connect(demo.accounting_dsn) as connection:
        return Counter(payment for (payment,) in connection.execute("SELECT payment_id FROM entries_written"))


async def test_a_zombie_writes_nothing_of_what_another_worker_has_taken_over(
    tmp_path: Path, stack: Stack, free_ports: list[int]
) -> None:
    week, wanted = baskets(DATA)[: FIRST + THEN], expected(DATA)
    demo = open_books(tmp_path, stack, wanted)
    with psycopg.connect(demo.accounting_dsn) as connection:
        connection.execute(ENTRIES.encode())
    front, zombie, heir = (backbone_of(demo, port) for port in free_ports)
    delivered = f'mainstem_records_total{{integration="{demo.integration}",outcome="delivered",step="journal"}}'
    with front, zombie, heir:
        front.start("--only", "sources", "--only", "streams")
        zombie.start("--only", "sinks").until_ready()
        front.until_ready()
        with nobody_writes(demo.accounting_dsn) as connection:
            await send(week[:FIRST], front, demo)
            await asyncio.to_thread(until, lambda: count(connection, WAITS_FOR_A_LOCK) > 0)
            zombie.send(signal.SIGSTOP)
        heir.start("--only", "sinks")
        await asyncio.to_thread(until, lambda: are_settled(demo, FIRST))
        zombie.send(signal.SIGCONT)
        await asyncio.to_thread(until, lambda: '"waiting"' in zombie.log() or '"fenced"' in zombie.log())
        zombie.until_ready()
        assert zombie.metric(delivered) == 0
        await send(week[FIRST:], front, demo)
        await asyncio.to_thread(until, lambda: are_settled(demo, FIRST + THEN))
    refused = {basket.basket_id for basket in week} & (wanted.never | wanted.not_yet)
    assert sorted(letter_keys(demo)) == sorted(refused)
    books = booked(demo.accounting_dsn)
    due = {basket.basket_id for basket in week} - refused
    wanted.books.entries = {payment: entry for payment, entry in wanted.books.entries.items() if payment in due}
    assert differences(wanted.books, books) == []
    assert writes_of(demo) == Counter(due)
