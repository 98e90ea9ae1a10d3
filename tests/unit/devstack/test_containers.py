from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from mainstem import devstack
from mainstem.devstack.versions import APICURIO_IMAGE, KAFKA_IMAGE, POSTGRES_IMAGE
from mainstem.errors import MISSING_EXTRA, STACK_FAILED, Misconfigured, Unreachable

DOCKER = {"MAINSTEM_STACK": "docker"}


def test_without_testcontainers_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "testcontainers.core.container", None)
    with pytest.raises(Misconfigured) as refused:
        devstack.ensure(tmp_path, environ=DOCKER)
    assert refused.value.code is MISSING_EXTRA
    assert refused.value.fix == "pip install 'testcontainers'"


def test_without_an_engine_the_error_says_so_and_that_none_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(Unreachable) as refused:
        devstack.ensure(tmp_path, environ=DOCKER)
    assert refused.value.code is STACK_FAILED
    assert "containers did not start" in refused.value.cause
    assert "leave MAINSTEM_STACK unset" in refused.value.fix


def test_the_containers_are_the_stacks_and_open_to_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = MagicMock()
    monkeypatch.setattr("docker.from_env", lambda **_: engine)
    monkeypatch.setattr("testcontainers.core.config.testcontainers_config.ryuk_disabled", True)
    monkeypatch.setattr("testcontainers.core.wait_strategies.LogMessageWaitStrategy.wait_until_ready", MagicMock())
    running = devstack.ensure(tmp_path, environ=DOCKER)
    made = {call.args[0]: call.kwargs for call in engine.api.create_container.call_args_list} or {
        call.args[0]: call.kwargs for call in engine.containers.create.call_args_list
    }
    assert set(made) == {KAFKA_IMAGE, APICURIO_IMAGE, POSTGRES_IMAGE}
    bound = {address for kwargs in made.values() for address, _ in kwargs["ports"].values()}
    assert bound == {"127.0.0.1"}
    kafka = made[KAFKA_IMAGE]
    assert kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"] == f"BROKER://{running.stack.bootstrap}"
    assert running.stack.bootstrap.endswith(str(kafka["ports"]["9092/tcp"][1]))
    running.stop()
    assert engine.networks.create.return_value.remove.called
