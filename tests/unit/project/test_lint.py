"""`lint` says everything that is wrong, at once, and needs no stack."""

from __future__ import annotations

import time

import pytest

from mainstem.errors import MISSING_SECRET
from mainstem.project.findings import Severity
from mainstem.project.imports import package_findings
from mainstem.project.lint import lint
from tests.unit.project.conftest import Folder

ORDERS = "integrations/orders.yaml"


def test_a_sound_project_has_no_findings(folder: Folder) -> None:
    assert folder.lint() == []


def test_no_stack_has_to_run(folder: Folder) -> None:
    folder.write("mainstem.yaml", "project: shop\nsecrets: {backend: file, folder: vault}\n")
    folder.edit(ORDERS, "${secret:ledger_dsn}", "${stack:postgres_dsn}")
    assert folder.lint() == []


def test_everything_is_said_at_once_and_in_order(folder: Folder) -> None:
    folder.edit("mainstem.yaml", "backend: file", "backend: file\n  fodler: x")
    folder.edit(ORDERS, "owner: shop-team", "ower: shop-team")
    folder.write("integrations/broken.yaml", "a: [")
    folder.write("schemas/raw/till/order.v1.avsc", "{")
    assert folder.lint() == [
        "integrations/broken.yaml:1:5: error: not YAML: expected the node content, but found '<stream end>'",
        "integrations/orders.yaml:1:1: error: the key `owner` is missing",
        "integrations/orders.yaml:2:1: error: unknown key `ower`; did you mean `owner`?",
        "mainstem.yaml:8:3: error: unknown key `fodler`; did you mean `folder`?",
        "schemas/raw/till/order.v1.avsc:1:2: error: not JSON: Expecting property name enclosed in double quotes",
    ]


def test_all_that_is_wrong_with_code_and_settings_is_said(folder: Folder) -> None:
    folder.edit(ORDERS, "connector: bell", "connector: bel")
    folder.edit(ORDERS, "[settle]", "[setle]")
    folder.edit(ORDERS, "orders:lines", "orders:line")
    folder.edit(ORDERS, "table: line}", "tabel: line}")
    assert folder.lint() == [
        "integrations/orders.yaml:5:16: error: no connector is called `bel`; did you mean `bell`?",
        "integrations/orders.yaml:10:11: error: there is no streams/setle.py; did you mean `settle`?",
        "integrations/orders.yaml:14:14: warning: nothing in this project writes `shop.order_settled.v1`",
        "integrations/orders.yaml:15:10: error: integrations/orders.py has no function `line`; did you mean `lines`?",
        "integrations/orders.yaml:16:15: error: the key `table` is missing",
        "integrations/orders.yaml:16:45: error: unknown key `tabel`; did you mean `table`?",
    ]


def test_each_missing_secret_is_an_error(folder: Folder) -> None:
    folder.remove("vault/bell_key")
    folder.remove("vault/ledger_dsn")
    found = lint(folder.path, environ={})
    assert [(str(finding.place), finding.code, finding.severity) for finding in found] == [
        ("integrations/orders.yaml:8:15", MISSING_SECRET, Severity.ERROR),
        ("integrations/orders.yaml:16:21", MISSING_SECRET, Severity.ERROR),
    ]


def test_a_missing_secret_hides_no_other_fault_and_causes_none(folder: Folder) -> None:
    folder.remove("vault/ledger_dsn")
    folder.edit(ORDERS, "table: line", "table: 5")
    assert folder.lint() == [
        "integrations/orders.yaml:16:21: error: the secret `ledger_dsn` is not set",
        "integrations/orders.yaml:16:52: error: `table` must be text",
    ]


def test_a_sink_whose_topic_nobody_writes_is_a_warning(folder: Folder) -> None:
    folder.edit(ORDERS, "streams: [settle]\n", "")
    assert folder.lint() == [
        "integrations/orders.yaml:13:14: warning: nothing in this project writes `shop.order_settled.v1`"
    ]
    assert folder.load().name == "shop"


def test_a_table_that_nobody_fills_is_a_warning(folder: Folder) -> None:
    folder.edit("streams/settle.py", 'settled.v1")', 'settled.v1", tables={"names": "raw.till.name.v1"})')
    folder.edit("streams/settle.py", "settle(event)", "settle(event, names)")
    folder.write(
        "schemas/raw/till/name.v1.avsc", '{"type": "record", "namespace": "raw.till", "name": "name", "fields": []}'
    )
    assert folder.lint() == [
        "integrations/orders.yaml:10:11: warning: nothing in this project writes `raw.till.name.v1`,"
        " which `settle` reads"
    ]


def test_the_topics_of_a_stream_need_schemas_and_names(folder: Folder) -> None:
    folder.edit("streams/settle.py", "raw.till.order.v1", "raw.till.ordr.v1")
    folder.edit("streams/settle.py", "shop.order_settled.v1", "Shop")
    found = folder.lint()
    assert (
        "integrations/orders.yaml:10:11: error: `settle` reads `raw.till.ordr.v1`: the topic `raw.till.ordr.v1` has no"
        " schema; did you mean `raw.till.order.v1`?" in found
    )
    assert any("`Shop`, which `settle` writes, is not the name of a topic" in line for line in found)


def test_a_declared_mapping_is_checked_against_the_schema(folder: Folder) -> None:
    folder.edit(ORDERS, "map: orders:lines", "map: {order: id, town: buyer.cty, twin: buyer.twin.city, tag: tags.x}")
    assert folder.lint() == [
        "integrations/orders.yaml:15:28: error: `buyer.cty` is not in `shop.order_settled.v1`: there is no field `cty`;"
        " did you mean `city`?"
    ]


def test_a_secret_in_clear_is_an_error_and_a_default_a_warning(folder: Folder) -> None:
    folder.edit(ORDERS, "${secret:bell_key}", "hunter2")
    folder.edit(ORDERS, "${secret:ledger_dsn}", "${DSN:hunter2}")
    assert folder.lint() == [
        "integrations/orders.yaml:8:15: error: the secret `secret` is written in clear",
        "integrations/orders.yaml:16:21: warning: the secret `dsn` has a default that is written in clear",
    ]


def test_a_secret_that_others_can_read_is_a_warning(folder: Folder) -> None:
    (folder.path / "vault/bell_key").chmod(0o644)
    (finding,) = lint(folder.path, environ={})
    assert (str(finding.place), finding.severity) == ("vault/bell_key", Severity.WARNING)
    assert (finding.message, finding.fix) == (
        "other users of this machine can read the secret `bell_key`",
        "chmod 600 vault/bell_key",
    )


def test_a_file_that_is_not_read_is_a_warning(folder: Folder) -> None:
    folder.write("integrations/old.yml", "a: 1")
    assert folder.lint() == ["integrations/old.yml: warning: is not read: integrations end in .yaml"]


@pytest.mark.parametrize("package", ["connectors", "streams", "integrations"])
def test_a_shared_package_has_no_init(folder: Folder, package: str) -> None:
    folder.write(f"{package}/__init__.py", "")
    (finding,) = package_findings(folder.path)
    assert str(finding.place) == f"{package}/__init__.py"
    assert finding.message == "hides the installed modules: this folder is shared with them"


def test_a_connector_that_fails_twice_is_said_once(folder: Folder) -> None:
    folder.write("connectors/bell/__init__.py", "1 / 0")
    folder.edit(ORDERS, "streams:", "  - {name: two, connector: bell, topic: raw.till.order.v1}\nstreams:")
    assert [line for line in folder.lint() if "bell" in line] == [
        "connectors/bell/__init__.py:1:1: error: `connectors.bell` cannot be imported:"
        " ZeroDivisionError: division by zero"
    ]


def test_where_secrets_are_is_not_guessed_while_the_project_file_is_wrong(folder: Folder) -> None:
    folder.edit("mainstem.yaml", "backend: file", "backend: safe")
    assert folder.lint() == ["mainstem.yaml:7:12: error: `secrets.backend` is none of the values that are allowed"]


def test_a_finding_is_an_instruction(folder: Folder) -> None:
    folder.edit(ORDERS, "streams:", "stream:")
    (finding, *_) = lint(folder.path, environ={})
    assert str(finding) == (
        "integrations/orders.yaml:10:1: error: unknown key `stream`; did you mean `streams`?"
        " (MS-201; fix: the keys here are integration, owner, promise, sinks, sources, streams)"
    )


def test_an_empty_folder_has_one_finding(folder: Folder) -> None:
    for file in [path for path in folder.path.rglob("*") if path.is_file()]:
        file.unlink()
    assert [line.partition(": error: ")[0] for line in folder.lint()] == ["mainstem.yaml"]


def test_linting_takes_milliseconds(folder: Folder) -> None:
    folder.lint()
    took = []
    for _ in range(5):
        started = time.perf_counter()
        folder.lint()
        took.append(time.perf_counter() - started)
    assert min(took) < 0.25
