"""Both protocols of consumer groups, the classic one and KIP-848, by the same oracle."""

from __future__ import annotations

import os
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from tests.integration.process.librdkafka.conftest import MakeField
from tests.integration.process.librdkafka.field import (
    Fault,
    Field,
    assert_counts_exact,
    assert_each_once,
    assert_in_order,
    events,
)

pytestmark = [pytest.mark.stack, pytest.mark.parametrize("protocol", ["classic", "consumer"])]

KILLS: list[Fault] = [("before offsets", "kill", 0.3), ("after offsets", "kill", 0.3), ("after commit", "kill", 0.3)]


def small(protocol: str, **options: Any) -> dict[str, Any]:
    return {"epoch_events": 40, "batch": 40, "group_protocol": protocol, **options}


def test_two_workers_are_killed_around_their_commits(make_field: MakeField, protocol: str) -> None:
    # With KIP-848 each costs the session of the dead member, 45 s at least; the first life of each worker has one.
    kills = KILLS if protocol == "classic" else KILLS[:2]
    field = make_field(has_table=True, faults=list(kills), engine=small(protocol))
    field.publish(events(1_000))
    field.start("w1", "w2")
    field.publish(events(2_000)[1_000:])
    field.wait_until(lambda: group_type(field) == protocol)
    field.run_until_done()
    assert 1 <= field.ends[-9] <= len(kills), field.report()
    assert_each_once(field, range(2_000))
    assert_counts_exact(field, range(2_000))


def test_a_worker_asleep_in_its_commit_beyond_the_transaction_timeout_writes_nothing_more(
    make_field: MakeField, protocol: str
) -> None:
    field = make_field(
        has_table=True,
        faults=[("before offsets", "stop", 0.3)],
        asleep_s=16.0,
        engine=small(protocol, transaction_timeout_s=5.0, drain_s=4.0),
    )
    field.start_together("w1", "w2")
    field.publish(events(1_000))
    field.run_until_done()
    assert field.sleeps == 1, field.report()
    assert set(field.ends) <= {os.EX_TEMPFAIL}, field.report()
    assert_each_once(field, range(1_000))
    assert_counts_exact(field, range(1_000))


def test_partitions_move_while_workers_come_and_one_goes_for_good(make_field: MakeField, protocol: str) -> None:
    """The one that goes is no static member: those leave their partitions with Kafka until their session ends."""
    field = make_field(has_table=True, guarantee="at_least_once", engine=small(protocol), is_named=False)
    field.publish(events(500))
    field.start("w1")
    field.wait_until(lambda: len(field.outputs()) > 0)
    field.start("w2", "w3")
    field.publish(events(1_000)[500:])
    field.wait_until(lambda: field.sharing() == 3)
    field.publish(events(1_500)[1_000:])
    field.end("w1")
    field.wait_until(lambda: field.sharing() == 2)
    field.publish(events(2_000)[1_500:])
    field.run_until_done()
    assert field.ends == {}, field.report()
    assert {output["id"] for output in field.outputs()} == set(range(2_000)), field.report()
    assert_in_order(field)
    assert_counts_exact(field, range(2_000))


def group_type(field: Field) -> str:
    """`classic` or `consumer`; empty while there is no such group."""
    admin = AdminClient(field.config)  # it answers only while it is there
    listed = admin.list_consumer_groups().result(30).valid
    return next((group.type.name.lower() for group in listed if group.group_id == field.app), "")
