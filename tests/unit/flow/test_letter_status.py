from __future__ import annotations

from mainstem.event import Origin
from mainstem.flow.letter_status import WAITING, read_status, status_record


def test_a_status_is_read_as_it_was_written() -> None:
    record = status_record(
        "p.s.dlq", "e|1", WAITING, origin=Origin("t.v1", 3, 9), cause="c", code="MS-105", scope=b"\x00\xff"
    )
    status = read_status(record.value or b"")
    assert (record.topic, record.key) == ("_mainstem.letters", b"p.s.dlq|e|1|t.v1:3:9")
    assert (status.dlq, status.event_id, status.state, status.origin) == ("p.s.dlq", "e|1", "waiting", "t.v1:3:9")
    assert (status.cause, status.code, status.scope) == ("c", "MS-105", "00ff")
    assert status.at.endswith("Z")


def test_an_id_that_was_published_twice_has_two_statuses() -> None:
    first, second = (status_record("d", "e", WAITING, origin=Origin("t", 0, n)) for n in (1, 2))
    assert first.key != second.key
    assert read_status(first.value or b"").scope is None
