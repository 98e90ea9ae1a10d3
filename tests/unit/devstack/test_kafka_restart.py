from __future__ import annotations

from pathlib import Path

from mainstem.devstack.kafka import properties
from mainstem.devstack.kafka_restart import controller_only, was_killed

BROKER = properties({"kafka": 20001, "controller": 20002}, Path("/project/.mainstem/kafka/data"))


def settings(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_controller_alone_keeps_its_address_and_data_and_ends_sessions_soon() -> None:
    alone, both = settings(controller_only(BROKER)), settings(BROKER)
    assert alone["process.roles"] == "controller"
    assert alone["listeners"] == "CONTROLLER://127.0.0.1:20002"
    assert int(alone["broker.session.timeout.ms"]) < 1000
    kept = {"node.id", "log.dirs", "controller.quorum.voters", "controller.listener.names"}
    assert {name: alone[name] for name in kept} == {name: both[name] for name in kept}


def test_the_controller_alone_claims_nothing_that_only_brokers_may() -> None:
    assert not {name for name in settings(controller_only(BROKER)) if name.startswith(("advertised", "inter.broker"))}


def test_a_broker_that_ran_and_did_not_leave_by_itself_was_killed(tmp_path: Path) -> None:
    assert not was_killed(tmp_path)
    (tmp_path / "__cluster_metadata-0").mkdir()
    assert was_killed(tmp_path)
    (tmp_path / ".kafka_cleanshutdown").touch()
    assert not was_killed(tmp_path)
