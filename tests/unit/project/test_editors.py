"""The JSON Schema for editors takes what the loader takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from mainstem.project.editors import Kind, json_schema
from mainstem.project.yaml import read
from tests.unit.project.conftest import Folder

KINDS: tuple[Kind, ...] = ("project", "integration")


def errors(kind: Kind, data: Any) -> list[str]:
    return [error.json_path for error in Draft202012Validator(json_schema(kind)).iter_errors(data)]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_valid_schema(kind: Kind) -> None:
    Draft202012Validator.check_schema(json_schema(kind))


def test_sound_files_pass(folder: Folder) -> None:
    assert errors("project", read(folder.path / "mainstem.yaml", "x").data) == []
    assert errors("integration", read(folder.path / "integrations/orders.yaml", "x").data) == []


def test_the_demo_company_passes() -> None:
    root = Path(__file__).parents[3]
    assert errors("project", read(root / "mainstem.yaml", "x").data) == []
    for file in (root / "integrations").glob("*.yaml"):
        assert errors("integration", read(file, "x").data) == []


@pytest.mark.parametrize(
    ("kind", "data", "where"),
    [
        ("project", {"project": "a", "kafak": {}}, "$"),
        ("project", {}, "$"),
        ("project", {"project": "A!"}, "$.project"),
        ("project", {"project": "a", "gateway": {"port": "x"}}, "$.gateway.port"),
        ("integration", {"integration": "a", "owner": "b", "sinks": [{"name": "c"}]}, "$.sinks[0]"),
        (
            "integration",
            {"integration": "a", "owner": "b", "promise": {"arrives_within_s": 0}},
            "$.promise",
        ),
    ],
)
def test_wrong_files_do_not(kind: Kind, data: Any, where: str) -> None:
    assert where in errors(kind, data)


def test_the_least_project_passes() -> None:
    assert errors("project", {"project": "a"}) == []
    assert errors("project", {"project": "a", "kafka": {"security_protocol": "SSL"}}) == []


def test_a_reference_may_stand_for_anything() -> None:
    data = {"project": "${NAME:a}", "gateway": {"port": "${PORT:1}"}, "defaults": {"retention_s": "${KEEP:60}"}}
    assert errors("project", data) == []


def test_keys_carry_their_meaning() -> None:
    gateway = json_schema("project")["$defs"]["GatewaySettings"]["properties"]
    assert all(field.get("description") for field in gateway.values())
