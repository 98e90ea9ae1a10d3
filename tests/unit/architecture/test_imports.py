"""Who may import what: the part of it that import-linter cannot say. Its own contracts are in pyproject.toml."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

import mainstem
from tests.unit.architecture.sources import REPOSITORY, ROOTS, connectors, imports, modules


def linter() -> dict[str, Any]:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(settings["tool"]["importlinter"])


def test_no_import_hides_in_a_function() -> None:
    assert [str(one) for one in imports(*ROOTS) if one.in_function] == []


def test_the_codec_takes_only_the_registrys_client_from_the_kafka_client() -> None:
    taken = [one for one in imports("mainstem/codec") if one.is_of("confluent_kafka")]
    assert taken
    assert [str(one) for one in taken if not one.is_of("confluent_kafka.schema_registry")] == []


def test_the_stream_engine_knows_nothing_else_of_mainstem() -> None:
    taken = [one for one in imports("mainstem/process/engine") if one.is_of("mainstem")]
    known = ("mainstem.process.engine", "mainstem.process.librdkafka")
    assert [str(one) for one in taken if not any(one.is_of(name) for name in known)] == []


def test_connectors_streams_and_mappings_use_public_names_only() -> None:
    taken = [one for one in imports("connectors", "streams", "integrations") if one.is_of("mainstem")]
    private = [one for one in taken if one.module not in {"mainstem", "mainstem.errors"} or one.name.startswith("_")]
    unknown = [one for one in taken if one.module == "mainstem" and one.name not in mainstem.__all__]
    assert [str(one) for one in private + unknown] == []


@pytest.mark.parametrize("folder", ["streams", "integrations"])
def test_streams_and_mappings_know_no_connector_and_not_each_other(folder: str) -> None:
    others = [*ROOTS[1:], *(path.stem for name in ("streams", "integrations") for path in modules(name))]
    assert [str(one) for one in imports(folder) if any(one.is_of(other) for other in others)] == []


@pytest.mark.parametrize("folder", ["connectors", "streams"])
def test_a_users_folder_can_merge_with_ours(folder: str) -> None:
    assert not (REPOSITORY / folder / "__init__.py").exists()


def test_every_connector_is_named_to_the_import_linter() -> None:
    named = {f"connectors.{name}" for name in connectors()}
    settings = linter()
    assert {root for root in settings["root_packages"] if root != "mainstem"} == named
    contracts = {contract["id"]: contract for contract in settings["contracts"]}
    assert set(contracts["connectors-apart"]["modules"]) == named
    assert set(contracts["connectors-public"]["source_modules"]) == named
    for name in ("kafka-client", "faust", "prometheus"):
        assert set(contracts[name]["source_modules"]) == named | {"mainstem"}


def test_the_layers_leave_no_package_out() -> None:
    assert linter()["contracts"][0]["exhaustive"] is True
