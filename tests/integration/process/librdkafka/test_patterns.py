"""Topics behind a pattern, on real Kafka: also those that are made while a worker runs."""

from __future__ import annotations

import pytest

from tests.integration.process.librdkafka.conftest import MakeField
from tests.integration.process.librdkafka.field import (
    assert_counts_exact,
    assert_each_once,
    assert_in_order,
    events,
)

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("mode", ["step", "agent"])
def test_a_topic_that_is_made_while_a_worker_runs_is_read_if_its_whole_name_fits(
    make_field: MakeField, mode: str
) -> None:
    field = make_field(mode=mode, by_pattern=True, has_table=True, engine={"topics_s": 0.5})
    north, other = f"{field.reads}.north", f"{field.reads}.north1"
    made = events(300)
    field.publish(made[:100])
    field.start("w1")
    field.wait_until(lambda: len(field.outputs()) == 100)
    field.create(other, north)
    field.publish(events(1_000)[900:], other)
    field.publish(made[100:200], north)
    field.wait_until(lambda: len(field.outputs()) >= 200)
    field.publish(made[200:])
    field.run_until_done()
    assert field.ends == {}, field.report()
    assert_each_once(field, range(300))
    assert_in_order(field)
    assert_counts_exact(field, range(300))
