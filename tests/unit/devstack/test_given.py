from __future__ import annotations

from pathlib import Path

import pytest

from mainstem import devstack
from mainstem.devstack import Stack, given_stack
from mainstem.errors import Misconfigured

GIVEN = {
    "MAINSTEM_KAFKA__BOOTSTRAP": "kafka:9092",
    "MAINSTEM_REGISTRY__URL": "http://registry:8081/",
    "MAINSTEM_STACK_POSTGRES_DSN": "postgresql://u@h/postgres",
}
STACK = Stack("kafka:9092", "http://registry:8081", "postgresql://u@h/postgres")


def test_the_three_variables_name_a_stack() -> None:
    assert given_stack(GIVEN) == STACK


def test_without_them_none_is_given() -> None:
    assert given_stack({}) is None


def test_a_part_of_them_is_refused_by_name() -> None:
    with pytest.raises(Misconfigured) as refused:
        given_stack({**GIVEN, "MAINSTEM_STACK_POSTGRES_DSN": ""})
    assert "MAINSTEM_STACK_POSTGRES_DSN is not" in refused.value.cause


def test_a_given_stack_is_used_and_never_stopped(tmp_path: Path) -> None:
    running = devstack.ensure(tmp_path, environ=GIVEN)
    assert running.stack == STACK
    assert not running.started_here
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_choice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="podman"):
        devstack.ensure(tmp_path, environ={"MAINSTEM_STACK": "podman"})
