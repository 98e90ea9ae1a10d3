"""What authors import from mainstem: a list that changes on purpose only."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import mainstem


def test_the_public_names_are_all_that_the_package_binds() -> None:
    bound = {name for name, value in vars(mainstem).items() if not isinstance(value, ModuleType)}
    assert {name for name in bound if not name.startswith("_")} | mainstem._CLIENTS.keys() == set(mainstem.__all__)


def test_a_name_that_is_not_there_is_missed_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Subscribr'"):
        mainstem.Subscribr  # type: ignore[attr-defined]  # noqa: B018 - asking is the test


def test_the_help_of_a_command_does_not_load_the_kafka_client() -> None:
    look = (
        "import sys; from mainstem.cli.main import app; app(['--version'], standalone_mode=False); print(*sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert "confluent_kafka" not in said.stdout.split()


def test_the_public_names_are_sorted_and_named_once() -> None:
    assert list(mainstem.__all__) == sorted(set(mainstem.__all__))


@pytest.mark.parametrize("name", mainstem.__all__)
def test_every_public_class_and_function_says_what_it_is(name: str) -> None:
    public = getattr(mainstem, name)
    if isinstance(public, type) or callable(public):
        assert public.__doc__
        assert not public.__doc__.startswith(f"{name}(")  # what dataclasses write when nobody else did
