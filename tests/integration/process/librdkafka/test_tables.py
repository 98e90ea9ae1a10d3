"""Tables of all kinds, on real Kafka, while workers are killed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

from mainstem.kafka.topics import Admin, TopicSpec
from tests.integration.process.librdkafka.conftest import MakeField
from tests.integration.process.librdkafka.field import (
    KEYS,
    PARTITIONS,
    Fault,
    Field,
    assert_counts_exact,
    assert_each_once,
    assert_in_order,
    events,
)
from tests.integration.process.librdkafka.worker_tables import EXPIRES_S, SIZE_S, STEP_S

pytestmark = pytest.mark.stack

SMALL_EPOCHS = {"epoch_events": 40, "batch": 40}
KILLS: list[Fault] = [("before offsets", "kill", 0.3), ("before commit", "kill", 0.3), ("after commit", "kill", 0.3)]
ROCKSDB = "rocksdb://"


@pytest.mark.parametrize("mode", ["step", "agent"])
def test_tables_on_disk_are_exact_after_kills_around_commits(make_field: MakeField, mode: str) -> None:
    field = make_field(mode=mode, has_table=True, store=ROCKSDB, faults=KILLS, engine=SMALL_EPOCHS)
    field.publish(events(2_000, poison={900}))
    field.start("w1")
    field.run_until_done()
    assert field.ends[-9] == len(KILLS), field.report()
    left = set(range(2_000)) - {900}
    assert_each_once(field, left)
    assert_counts_exact(field, left)


def test_workers_with_tables_on_disk_hand_partitions_over_while_one_after_the_other_is_killed(
    make_field: MakeField,
) -> None:
    field = make_field(has_table=True, store=ROCKSDB, faults=KILLS, engine=SMALL_EPOCHS)
    field.publish(events(1_000))
    field.start("w1", "w2")
    field.publish(events(2_000)[1_000:])
    field.run_until_done()
    assert field.ends[-9] == len(KILLS), field.report()
    assert_each_once(field, range(2_000))
    assert_counts_exact(field, range(2_000))


def test_after_a_kill_a_table_on_disk_reads_no_more_than_the_last_transaction_again(make_field: MakeField) -> None:
    field = make_field(has_table=True, store=ROCKSDB, engine=SMALL_EPOCHS)
    field.publish(events(2_000))
    field.start("w1")
    field.tend_until(lambda: len(field.outputs()) == 2_000)
    field.kill_for_good("w1")
    field.publish(events(2_400)[2_000:])
    field.start("w1")
    field.run_until_done()
    first, again = field.restored("w1")
    assert first == 0
    assert again <= SMALL_EPOCHS["epoch_events"], field.report()
    assert_each_once(field, range(2_400))
    assert_counts_exact(field, range(2_400))


def test_a_file_is_not_used_when_its_changelog_was_made_anew(make_field: MakeField) -> None:
    field = make_field(has_table=True, store=ROCKSDB)
    field.publish(events(400))
    field.start("w1")
    field.run_until_done()
    admin, changelog = Admin(field.config), f"{field.app}-counts-changelog"
    admin.delete([changelog])
    admin.create([TopicSpec(changelog, PARTITIONS)])
    field.publish(events(800)[400:])
    field.start("w1")
    field.run_until_done()
    later = [output["count"] for output in field.outputs() if output["id"] >= 400]
    assert Counter(later) == {count: KEYS for count in range(1, 400 // KEYS + 1)}, field.report()
    assert field.table() == dict(Counter(f"k{number % KEYS}" for number in range(400)))


@pytest.mark.parametrize("store", ["memory://", ROCKSDB])
def test_a_standby_restores_only_the_rest_when_it_takes_over(make_field: MakeField, store: str) -> None:
    field = make_field(has_table=True, standby=True, store=store, engine=SMALL_EPOCHS)
    field.start("w1", "w2")
    for end in range(300, 1_501, 300):
        field.publish(events(end)[end - 300 :])
        field.tend_until(lambda: len(field.outputs()) == end)  # noqa: B023 - called before the next round
    field.kill_for_good("w1")
    before = len(field.restored("w2"))
    field.publish(events(1_800)[1_500:])
    field.run_until_done()
    assert_each_once(field, range(1_800))
    assert_counts_exact(field, range(1_800))
    assert len(field.restored("w2")) > before, field.report()
    assert sum(field.restored("w2")[before:]) <= 200, field.report()


def in_time(count: int, **more: Any) -> list[dict[str, Any]]:
    """Events of KEYS keys, two in a second for each key."""
    begin_s = 1_700_000_000
    return [{**event, **more, "at_s": begin_s + event["id"] // KEYS / 2} for event in events(count)]


def counted(field: Field, published: Iterable[dict[str, Any]]) -> dict[int, tuple[int, int]]:
    """The counts of the tumbling and of the youngest hopping window that each event is to see."""
    tumbling: Counter[tuple[str, float]] = Counter()
    hopping: Counter[tuple[str, float]] = Counter()
    expected = {}
    for event in published:
        key, at_s = event["key"], event["at_s"]
        tumbling[key, at_s // SIZE_S] += 1
        youngest = int(at_s // STEP_S)
        for start in range(youngest - SIZE_S // STEP_S + 1, youngest + 1):
            hopping[key, start] += 1
        expected[event["id"]] = (tumbling[key, at_s // SIZE_S], hopping[key, youngest])
    return expected


@pytest.mark.parametrize("mode", ["windows step", "windows agent"])
def test_windows_count_each_event_once_while_their_worker_is_killed(make_field: MakeField, mode: str) -> None:
    field = make_field(mode=mode, faults=KILLS, engine=SMALL_EPOCHS)
    published = in_time(2_000)
    field.publish(published)
    field.start("w1")
    field.run_until_done()
    assert field.ends[-9] == len(KILLS), field.report()
    assert_each_once(field, range(2_000))
    assert_in_order(field)
    seen = {output["id"]: (output["tumbling"], output["hopping"]) for output in field.outputs()}
    assert seen == counted(field, published), field.report()


@pytest.mark.parametrize("store", ["memory://", ROCKSDB])
def test_each_window_that_expires_is_told_once_and_whole_while_its_worker_is_killed(
    make_field: MakeField, store: str
) -> None:
    field = make_field(mode="expiring", store=store, faults=KILLS, engine=SMALL_EPOCHS)
    published = in_time(2_000)
    field.publish(published)
    field.start("w1")
    field.run_until_done()
    assert field.ends[-9] == len(KILLS), field.report()
    windows = Counter((event["key"], float(event["at_s"] // SIZE_S * SIZE_S)) for event in published)
    latest = max(start for _, start in windows)
    # A key's window goes when its partition has seen a window that starts EXPIRES_S after its end.
    over = {window: count for window, count in windows.items() if window[1] + SIZE_S <= latest - EXPIRES_S}
    told = [((output["key"], output["start"]), output["count"]) for output in field.outputs()]
    assert len(told) == len(dict(told)), field.report()
    assert dict(told) == over, field.report()
    left = [key for key, value, _ in last_of(field, f"{field.app}-windows-changelog") if value is not None]
    assert len(left) == len(windows) - len(over)


def last_of(field: Field, topic: str) -> list[tuple[bytes, bytes | None, Any]]:
    """The last record of each key."""
    last = {key or b"": (key or b"", value, headers) for key, value, headers in field.whole(topic)}
    return list(last.values())


def test_what_is_grouped_by_another_key_is_counted_once_while_workers_are_killed(make_field: MakeField) -> None:
    field = make_field(mode="grouped", faults=KILLS, engine=SMALL_EPOCHS)
    published = [{**event, "group": f"g{event['id'] % 7}"} for event in events(1_500)]
    field.publish(published)
    field.start("w1", "w2")
    field.tend_until(lambda: not field.faults and len(field.outputs()) >= len(published))
    field.stop()
    assert field.ends[-9] == len(KILLS), field.report()
    assert_each_once(field, range(1_500))
    counts: dict[str, list[int]] = defaultdict(list)
    for output in field.outputs():
        counts[output["group"]].append(output["count"])
    wanted = Counter(event["group"] for event in published)
    assert counts == {group: list(range(1, count + 1)) for group, count in wanted.items()}, field.report()


def rates(number: int, count: int) -> list[dict[str, Any]]:
    return [{"key": f"r{index}", "rate": number + index} for index in range(count)]


def orders(begin: int, end: int, most: int) -> list[dict[str, Any]]:
    return [{**event, "rate": f"r{event['id'] % most}"} for event in events(end)[begin:]]


def test_every_worker_has_all_of_a_global_table_before_its_first_event_and_sees_it_change(
    make_field: MakeField,
) -> None:
    field = make_field(mode="joined", engine=SMALL_EPOCHS)
    topic = f"{field.reads}-rates"
    Admin(field.config).create([TopicSpec(topic, 2)])
    field.publish(rates(1_000, 500), topic)
    field.publish(orders(0, 1_000, 500))
    field.start("w1", "w2")
    field.tend_until(lambda: len(field.outputs()) == 1_000)
    assert {output["id"]: output["rate"] for output in field.outputs()} == {
        number: 1_000 + number % 500 for number in range(1_000)
    }, field.report()
    field.publish(rates(9_000, 500), topic)
    asked = 1_000
    seen: set[int] = set()

    def every_partition_sees_it() -> bool:
        nonlocal asked
        if len(field.outputs()) == asked:
            seen.clear()
            seen.update(output["rate"] >= 9_000 for output in field.outputs() if output["id"] >= asked - KEYS)
            if asked > 1_000 and seen == {True}:
                return True
            field.publish(orders(asked, asked + KEYS, 500))
            asked += KEYS
        return False

    field.tend_until(every_partition_sees_it)
    field.stop()
    assert_each_once(field, range(asked))
    assert_counts_exact_plain(field, asked)


def assert_counts_exact_plain(field: Field, total: int) -> None:
    counts: dict[str, list[int]] = defaultdict(list)
    for output in field.outputs():
        counts[output["key"]].append(output["count"])
    assert counts == {f"k{key}": list(range(1, total // KEYS + 1)) for key in range(KEYS)}, field.report()
