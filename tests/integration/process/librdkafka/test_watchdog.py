"""A worker that hangs, on real Kafka: Kafka takes it for alive, the watchdog starts it anew, and nothing is lost."""

from __future__ import annotations

import os

import pytest

from tests.integration.process.librdkafka.conftest import MakeField
from tests.integration.process.librdkafka.field import assert_each_once, events

pytestmark = pytest.mark.stack

IMPATIENT = {"drain_s": 1.0, "stall_s": 4.0, "epoch_events": 40, "batch": 40}


@pytest.mark.parametrize("mode", ["step", "agent"])
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_a_worker_whose_event_loop_is_blocked_for_ever_is_started_anew(
    make_field: MakeField, mode: str, guarantee: str
) -> None:
    field = make_field(mode=mode, guarantee=guarantee, engine=IMPATIENT)
    field.publish(events(300, blocks={150}))
    field.start("w1")
    field.settings["endures"] = True
    field.run_until_done()
    assert field.ends == {os.EX_TEMPFAIL: 1}, field.report()
    log = field.log("w1")
    assert "the event loop has not moved" in log
    assert "in judge" in log, "where it hangs"
    if guarantee == "exactly_once":
        assert_each_once(field, range(300))
    else:
        assert {output["id"] for output in field.outputs()} == set(range(300)), field.report()


def test_a_worker_that_awaits_for_ever_is_started_anew_although_its_other_partitions_go_on(
    make_field: MakeField,
) -> None:
    """At least once: in exactly-once mode its own epoch would not wait for it any longer than `drain_s`."""
    field = make_field(mode="agent", guarantee="at_least_once", concurrency=2, engine=IMPATIENT)
    field.publish(events(300, endless={150}))
    field.start("w1")
    field.settings["endures"] = True
    field.run_until_done()
    assert field.ends == {os.EX_TEMPFAIL: 1}, field.report()
    assert "has had events under way" in field.log("w1")
    assert "worker_app.py" in field.log("w1"), "where the agents wait"
    assert {output["id"] for output in field.outputs()} == set(range(300)), field.report()
