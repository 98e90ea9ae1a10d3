"""At least once, on real Kafka: nothing is lost, and what is repeated was not committed."""

from __future__ import annotations

import pytest

from tests.integration.process.librdkafka.conftest import MakeField
from tests.integration.process.librdkafka.field import events

pytestmark = pytest.mark.stack

AT_LEAST_ONCE = "at_least_once"


@pytest.mark.parametrize("mode", ["step", "agent"])
def test_a_worker_that_is_killed_again_and_again_loses_nothing(make_field: MakeField, mode: str) -> None:
    field = make_field(mode=mode, guarantee=AT_LEAST_ONCE, engine={"batch": 50})
    field.publish(events(500))
    field.start("w1")
    for number in range(500, 2_000, 500):
        field.kill_after_its_first_outputs("w1")
        field.publish(events(number + 500)[number:])
    field.run_until_done()
    assert field.ends[-9] == 3, field.report()
    assert {output["id"] for output in field.outputs()} == set(range(2_000)), field.report()


def test_an_event_still_in_its_agent_is_not_committed_by_the_ones_behind_it(make_field: MakeField) -> None:
    """Stock Faust commits past it when an agent runs concurrently, and a crash loses it (its issue 606)."""
    field = make_field(mode="agent", guarantee=AT_LEAST_ONCE, concurrency=4)
    field.publish(events(200, endless={0}))
    field.start("w1")
    field.wait_until(lambda: len(field.outputs()) >= 199)
    field.settings["endures"] = True
    field.kill_after_its_first_outputs("w1")
    field.run_until_done()
    assert {output["id"] for output in field.outputs()} == set(range(200)), field.report()


@pytest.mark.parametrize("mode", ["step", "async step", "agent"])
def test_a_poison_record_is_retried_then_dead_lettered_and_the_others_go_on(make_field: MakeField, mode: str) -> None:
    field = make_field(mode=mode, guarantee=AT_LEAST_ONCE, engine={"retries": 1})
    field.publish(events(500, poison={7, 400}, odd={20}))
    field.start("w1")
    field.run_until_done()
    assert {number for number, _ in field.dead_letters()} == {7, 400}, field.report()
    assert {output["id"] for output in field.outputs()} >= set(range(500)) - {7, 400}, field.report()
