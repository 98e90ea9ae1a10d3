from __future__ import annotations

from pathlib import Path

from mainstem.devstack.containers import kafka_environ
from mainstem.devstack.kafka import properties

PORTS = {"kafka": 20001, "controller": 20002}


def rendered() -> dict[str, str]:
    lines = properties(PORTS, Path("/project/.mainstem/kafka/data")).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_broker_listens_on_loopback_only() -> None:
    assert rendered()["listeners"] == "BROKER://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002"
    assert rendered()["advertised.listeners"] == "BROKER://127.0.0.1:20001"


def test_its_data_is_in_the_project() -> None:
    assert rendered()["log.dirs"] == "/project/.mainstem/kafka/data"


def test_one_node_is_enough_for_every_internal_topic() -> None:
    factors = {name: value for name, value in rendered().items() if name.endswith(("replication.factor", "min.isr"))}
    assert len(factors) == 5
    assert set(factors.values()) == {"1"}


def test_topics_are_not_made_by_accident() -> None:
    assert rendered()["auto.create.topics.enable"] == "false"


def test_the_container_has_the_same_settings_under_its_images_names() -> None:
    environ = kafka_environ(20001)
    assert environ["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert environ["KAFKA_ADVERTISED_LISTENERS"] == "BROKER://127.0.0.1:20001"
    assert environ["KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS"] == "0"
