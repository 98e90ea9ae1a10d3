"""What authors import from mainstem: a list that changes on purpose only."""

from __future__ import annotations

from types import ModuleType

import pytest

import mainstem


def test_the_public_names_are_all_that_the_package_binds() -> None:
    bound = {name for name, value in vars(mainstem).items() if not isinstance(value, ModuleType)}
    assert {name for name in bound if not name.startswith("_")} == set(mainstem.__all__)


def test_the_public_names_are_sorted_and_named_once() -> None:
    assert list(mainstem.__all__) == sorted(set(mainstem.__all__))


@pytest.mark.parametrize("name", mainstem.__all__)
def test_every_public_class_and_function_says_what_it_is(name: str) -> None:
    public = getattr(mainstem, name)
    if isinstance(public, type) or callable(public):
        assert public.__doc__
        assert not public.__doc__.startswith(f"{name}(")  # what dataclasses write when nobody else did
