"""What an observer hears of a worker, on real Kafka."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.process.librdkafka.conftest import MakeField
from tests.integration.process.librdkafka.field import events

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("mode", ["step", "agent"])
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_every_event_is_told_from_being_fetched_to_being_committed(
    make_field: MakeField, mode: str, guarantee: str
) -> None:
    field = make_field(mode=mode, guarantee=guarantee, has_table=True, observes=True, engine={"batch": 50})
    field.publish(events(600, poison={100}))
    field.start("w1")
    field.wait_until(lambda: any(told["behind"] == 0 for told in named(field.told("w1"), "lagging")))
    field.run_until_done()
    told = field.told("w1")
    committed = named(told, "committed")
    assert sum(one["events"] for one in committed) == 600, field.report()
    assert all(one["epoch_s"] >= one["commit_s"] >= 0 for one in committed)
    assert sum(one["events"] for one in named(told, "fetched")) >= 600
    assert sum(one["events"] for one in named(told, "delivered")) >= 600
    assert {one["error"] for one in named(told, "dead_lettered")} == {"poison"}
    aborts = {one["reason"] for one in named(told, "aborted")}
    assert aborts == ({"an event failed"} if guarantee == "exactly_once" else set())


def test_a_worker_is_ready_when_its_partitions_run_and_not_before(make_field: MakeField) -> None:
    field = make_field(has_table=True, observes=True)
    field.publish(events(100))
    field.start("w1")
    field.wait_until(lambda: any(one["is_ready"] for one in named(field.told("w1"), "progress")))
    field.run_until_done()
    progress = named(field.told("w1"), "progress")
    assert {one["partitions"] for one in progress if one["is_ready"]} == {3}


def named(told: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    return [one for one in told if one["what"] == what]
