"""A flag beats the environment, that beats the file, that beats a default; and it can be seen which one it was."""

from __future__ import annotations

from typing import Any

import pytest

from mainstem.project.findings import Severity
from mainstem.project.lint import lint
from mainstem.project.origins import Setting, settings
from tests.unit.project.conftest import Folder


def shown(folder: Folder, **flags: str) -> dict[str, tuple[str, str]]:
    dotted = {name.replace("__", "."): text for name, text in flags.items()}
    rows: tuple[Setting, ...] = settings(folder.path, flags=dotted, environ=folder.environ)
    return {row.key: (row.value, row.origin) for row in rows}


def test_each_layer_beats_the_one_below(folder: Folder) -> None:
    assert folder.load().gateway.port == 8420
    folder.edit("mainstem.yaml", "project: shop", "project: shop\ngateway: {port: 1}")
    assert folder.load().gateway.port == 1
    folder.environ["MAINSTEM_GATEWAY__PORT"] = "2"
    assert folder.load().gateway.port == 2
    assert folder.load(flags={"gateway.port": "3"}).gateway.port == 3


def test_the_origin_of_each_value_is_kept(folder: Folder) -> None:
    folder.environ["MAINSTEM_DEFAULTS__PARTITIONS"] = "12"
    rows = shown(folder, gateway__port="9000")
    assert rows["kafka.bootstrap"] == ("kafka:9092", "mainstem.yaml:3:14")
    assert rows["defaults.partitions"] == ("12", "MAINSTEM_DEFAULTS__PARTITIONS (environment)")
    assert rows["gateway.port"] == ("9000", "gateway.port (flag)")
    assert rows["defaults.replication"] == ("1", "default")
    assert rows["secrets.folder"] == ("vault", "mainstem.yaml:8:11")


def test_what_cannot_be_resolved_is_shown_as_written(folder: Folder) -> None:
    folder.write("mainstem.yaml", "project: shop\nkafka: {sasl_password: '${secret:kafka}'}\n")
    rows = shown(folder)
    assert rows["kafka.bootstrap"] == ("${stack:bootstrap}", "default")
    assert rows["kafka.sasl_password"] == ("${secret:kafka}", "mainstem.yaml:2:24")


@pytest.mark.parametrize("text", ["hunter2", "'${PW:hunter2}'", "'$${hunter2}'", "'${hunter2'", "'${secret:kafka}'"])
def test_a_secret_is_masked_however_it_got_there(folder: Folder, text: str) -> None:
    folder.secret("kafka", "hunter2")
    secrets = "secrets: {backend: file, folder: vault}"
    folder.write("mainstem.yaml", f"project: shop\nkafka: {{sasl_password: {text}}}\n{secrets}\n")
    assert shown(folder)["kafka.sasl_password"] == ("***", "mainstem.yaml:2:24")


def test_a_password_in_an_address_is_masked(folder: Folder) -> None:
    folder.environ["MAINSTEM_REGISTRY__URL"] = "http://me:hunter2@registry"
    assert shown(folder)["registry.url"][0] == "http://***@registry"


def test_a_variable_overrides_a_reference_that_cannot_be_resolved(folder: Folder) -> None:
    folder.write("mainstem.yaml", "project: shop\n")
    folder.environ |= {"MAINSTEM_KAFKA__BOOTSTRAP": "a:1", "MAINSTEM_REGISTRY__URL": "http://b"}
    project = folder.load()
    assert (project.kafka.bootstrap, project.registry.url) == ("a:1", "http://b")


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("MAINSTEM_DEFAULTS__RETENTION_S", "null", "retention_s", None),
        ("MAINSTEM_DEFAULTS__RETENTION_S", "3600", "retention_s", 3600),
    ],
)
def test_a_variable_takes_the_type_of_its_setting(folder: Folder, name: str, text: str, key: str, value: Any) -> None:
    folder.environ[name] = text
    assert getattr(folder.load().defaults, key) == value


def test_a_variable_may_hold_a_list(folder: Folder) -> None:
    key = {"name": "till", "sha256": "0" * 64, "topics": ["raw.*"]}
    folder.environ["MAINSTEM_GATEWAY__API_KEYS"] = str([key])
    (made,) = folder.load().gateway.api_keys
    assert (made.name, made.topics) == ("till", ("raw.*",))


def test_a_wrong_value_names_the_variable(folder: Folder) -> None:
    folder.environ["MAINSTEM_GATEWAY__PORT"] = "many"
    assert folder.refusal() == "MAINSTEM_GATEWAY__PORT (environment): `gateway.port` must be a whole number"


def test_a_list_that_does_not_end_names_the_variable(folder: Folder) -> None:
    folder.environ["MAINSTEM_GATEWAY__API_KEYS"] = "[1"
    assert folder.refusal().startswith("MAINSTEM_GATEWAY__API_KEYS (environment): not YAML")


def test_an_unknown_setting_is_refused_with_the_nearest(folder: Folder) -> None:
    folder.environ["MAINSTEM_KAFKA__BOTSTRAP"] = "a:1"
    assert folder.refusal() == (
        "MAINSTEM_KAFKA__BOTSTRAP (environment): there is no setting `botstrap` in kafka; did you mean `bootstrap`?"
    )


def test_an_unknown_flag_is_refused(folder: Folder) -> None:
    (finding,) = [
        found for found in lint(folder.path, flags={"kafak.bootstrap": "a"}, environ={}) if "flag" in found.path
    ]
    assert finding.message == "there is no setting `kafak`; did you mean `kafka`?"
    assert finding.severity is Severity.ERROR


def test_a_variable_of_another_program_is_only_a_warning(folder: Folder) -> None:
    folder.environ["MAINSTEM_OTHER__THING"] = "a"
    assert folder.load().name == "shop"
    assert folder.lint() == ["MAINSTEM_OTHER__THING (environment): warning: there is no setting `other`"]


def test_a_secret_with_two_underscores_is_no_setting(folder: Folder) -> None:
    folder.environ["MAINSTEM_SECRET_A__B"] = "x"
    assert folder.lint() == []


def test_a_section_that_is_no_mapping_is_reported_and_not_overridden(folder: Folder) -> None:
    folder.write("mainstem.yaml", "project: shop\ngateway: 5\n")
    folder.environ["MAINSTEM_GATEWAY__PORT"] = "1"
    assert "mainstem.yaml:2:10: error: `gateway` must be a mapping of keys to values" in folder.lint()


def test_a_broken_file_still_shows_what_there_is(folder: Folder) -> None:
    folder.write("mainstem.yaml", "a: [")
    assert shown(folder)["gateway.port"] == ("8420", "default")
