"""What the rounds of the scenario `engine` are made of, and what is read off its group."""

from __future__ import annotations

import random
from itertools import product

from mainstem.process.librdkafka import EngineOptions
from tests.chaos.engine_field import TRANSACTION_S, Plan
from tests.chaos.engine_group import Committed
from tests.chaos.engine_life import SESSION_S
from tests.integration.process.librdkafka.worker_app import Settings

PLACE = ("topic", 0)


def plans(count: int) -> list[Plan]:
    return [Plan.drawn(random.Random(seed)) for seed in range(count)]


def test_workers_take_the_settings_of_every_plan() -> None:
    for plan in plans(200):
        settings = Settings("app", "w1", "127.0.0.1:1", "reads", "writes", "folder", **plan.settings())
        assert settings.has_table == plan.counts
        assert EngineOptions(**settings.engine).transaction_timeout_s == TRANSACTION_S > SESSION_S


def test_tables_in_memory_and_on_disk_meet_both_protocols_in_every_mode() -> None:
    met = {(plan.mode, plan.store, plan.protocol) for plan in plans(200)}
    modes = ["step", "async step", "agent", "batches"]
    assert met == set(product(modes, ["memory://", "rocksdb://"], ["classic", "consumer"]))


def test_a_seed_repeats_a_plan() -> None:
    assert plans(20) == plans(20)


def test_a_group_that_is_set_back_is_noticed_and_one_that_has_committed_nothing_yet_is_not() -> None:
    committed = Committed()
    for offset in (-1001, 5, 5, 9, 7, -1001, 8):
        committed.see(PLACE, offset)
    assert committed.setbacks == ["partition 0 was set back from 9 to 7"]
    assert committed.positions == {PLACE: 8}
