"""Tables as steps see them, without Kafka."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from mainstem.process.librdkafka import App
from mainstem.process.librdkafka.now import Now, Place, current

BROKER = "librdkafka://127.0.0.1:9"


def app_with(partitions: int = 2) -> App:
    app = App("a", broker=BROKER)
    app.consumer = cast(Any, SimpleNamespace(topic_partitions=lambda topic: partitions))
    return app


def at(partition: int, second: float = 0.0) -> Any:
    return current(Now(Place("in", partition, second)))


def test_a_step_sees_its_own_partition_and_an_agent_too() -> None:
    table = app_with().Table("counts", default=int)
    table.view(0, "in")["k"] += 1
    assert "k" not in table.view(1, "in")
    with at(0):
        assert table["k"] == 1
        table["k"] += 1
    with at(1):
        assert "k" not in table
    assert table.view(0, "in")["k"] == 2


def test_outside_of_events_all_partitions_are_seen_and_none_is_changed() -> None:
    table = app_with().Table("counts")
    table.view(0, "in")["a"] = 1
    table.view(1, "in")["b"] = 2
    assert dict(table.data.items()) == {"a": 1, "b": 2}
    assert table["b"] == 2
    with pytest.raises((RuntimeError, TypeError)):
        table["b"] = 3


def test_a_topic_with_other_partitions_than_the_table_is_refused() -> None:
    app = App("a", broker=BROKER)
    app.consumer = cast(Any, SimpleNamespace(topic_partitions=lambda topic: 2 if topic == "in" else 3))
    with pytest.raises(Exception, match="same number of partitions"):
        app.Table("counts").view(0, "in")


def test_a_part_that_is_left_is_gone_and_a_standby_of_it_stays_without_what_was_not_committed() -> None:
    plain, kept = app_with().Table("plain", default=int), app_with().Table("kept", default=int, standby=True)
    for table in (plain, kept):
        part = table.view(0, "in")
        part["k"] = 1
        part.changes("t", 0)
        part.keep_changes()
        part["k"] = 2
        table.data.leave({0})
    assert plain.view(0, "in")["k"] == 0
    assert kept.view(0, "in")["k"] == 1


def test_standbys_are_all_that_is_not_active() -> None:
    store = app_with(3).Table("kept", standby=True).data
    actives = {TP(store.topic, 1), TP("in", 1)}
    assert store.needed(actives).keys() == {TP(store.topic, 1)}
    assert store.followed(actives).keys() == {TP(store.topic, 0), TP(store.topic, 2)}
    assert store.items() == []


def test_a_global_table_is_all_of_its_topic_and_read_only() -> None:
    table = app_with(3).GlobalTable("rates", reads="rates.v1", decode=bytes.decode)
    followed = table.data.followed(set())
    assert followed.keys() == {TP("rates.v1", number) for number in range(3)}
    for tp, part in followed.items():
        part.begin("id", anew=True)
        part.load([(b"k%d" % tp.partition, b"v"), (b"gone", None)], 5)
    view = table.view(0, "in")
    assert dict(view) == {b"k0": "v", b"k1": "v", b"k2": "v"}
    assert view.get(b"gone") is None
    with pytest.raises(TypeError):
        view[b"k0"] = "w"
    with at(0), pytest.raises(TypeError, match="writing to its topic"):
        table[b"k0"] = "w"
    assert table.data.needed(set()) == {}


def test_windows_expire_with_the_commit_and_come_back_with_its_abort() -> None:
    closed: list[Any] = []
    table = app_with().Table("n", default=int, on_window_close=lambda key, value: closed.append((key[0], value)))
    windows = table.tumbling(10, expires=10)
    part = table.view(0, "in")

    def run() -> None:
        for _ in table.data.close_windows().__await__():
            pass

    for second in (1.0, 2.0):
        with at(0, second):
            windows["k"] += 1
    run()
    part.changes("t", 0)
    part.keep_changes()
    assert closed == []
    with at(0, 35.0):
        windows["k"] += 1
    run()
    assert closed == [("k", 2)]
    part.drop_changes()
    assert len(part) == 1
    with at(0, 35.0):
        windows["k"] += 1
    run()
    part.changes("t", 0)
    part.keep_changes()
    assert closed == [("k", 2), ("k", 2)]
    assert len(part) == 1


def test_the_changelog_of_windows_outlives_them() -> None:
    table = app_with().Table("n", default=int)
    table.tumbling(10, expires=60)
    assert table.changelog_topic.retention == pytest.approx(86_460)
