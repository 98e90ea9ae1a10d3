from __future__ import annotations

import pytest

from mainstem import Event, Stream, Table, stream


def test_a_stream_is_called_as_its_function_is() -> None:
    @stream(reads="a.b.v1", writes="a.c.v1", tables={"shops": "a.shop.v1"})
    def total(event: Event, shops: Table) -> Event:
        return event.replace(data={"shop": shops["s"]["name"]})

    assert isinstance(total, Stream)
    assert total(Event(id="1", data={}), shops={"s": {"name": "corner"}}).data == {"shop": "corner"}
    assert (total.name, total.reads, total.writes, total.tables) == (
        "total",
        "a.b.v1",
        "a.c.v1",
        {"shops": "a.shop.v1"},
    )
    assert not total.is_async


def test_an_async_function_is_known_as_one() -> None:
    @stream(reads="a.b.v1", writes="a.c.v1")
    async def total(event: Event) -> Event:
        return event

    assert total.is_async


def test_a_table_without_a_parameter_is_refused_where_the_stream_is_written() -> None:
    with pytest.raises(TypeError, match=r"stream total: .*\[\].*\['shops'\]"):

        @stream(reads="a.b.v1", writes="a.c.v1", tables={"shops": "a.shop.v1"})
        def total(event: Event) -> Event:
            return event


def test_a_parameter_without_a_table_is_refused_where_the_stream_is_written() -> None:
    with pytest.raises(TypeError, match=r"stream total: .*\['shops'\].*\[\]"):

        @stream(reads="a.b.v1", writes="a.c.v1")
        def total(event: Event, shops: Table) -> Event:
            return event


def test_a_function_that_takes_no_event_is_refused_where_the_stream_is_written() -> None:
    with pytest.raises(TypeError, match="stream total: it takes no event"):

        @stream(reads="a.b.v1", writes="a.c.v1")
        def total() -> None:
            return None


def test_the_tables_are_the_streams_own() -> None:
    tables = {"shops": "a.shop.v1"}

    @stream(reads="a.b.v1", writes="a.c.v1", tables=tables)
    def total(event: Event, shops: Table) -> Event:
        return event

    tables.clear()
    assert total.tables == {"shops": "a.shop.v1"}
