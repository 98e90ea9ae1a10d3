from __future__ import annotations

import orjson

from mainstem.codec import headers as h
from mainstem.event import Origin
from mainstem.flow.letter_status import DROPPED, WAITING, read_occasion, read_status, status_record


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


def test_a_status_says_which_redrive_it_comes_of_and_who_dropped_the_letter_and_why() -> None:
    headers = [(h.REDRIVE_ID, b"r1"), (h.DROP, b"ann"), (h.DROP_BECAUSE, b"a test")]

    record = status_record("d", "e", DROPPED, origin=Origin("t", 0, 1), occasion=read_occasion(headers))

    status = read_status(record.value or b"")
    assert (status.redrive, status.by, status.because) == ("r1", "ann", "a test")
    assert read_occasion(None) == read_occasion([])


def test_a_status_of_another_version_is_read_as_far_as_it_is_understood() -> None:
    older = {"dlq": "d", "event_id": "e", "state": WAITING, "origin": "t:0:1", "at": "now"}
    assert read_status(orjson.dumps(older)).redrive is None
    assert read_status(orjson.dumps({**older, "of a later version": 1})).state == WAITING
