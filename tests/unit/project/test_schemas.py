"""A schema's path, its topic and its Avro name are one thing."""

from __future__ import annotations

import pytest

from mainstem.project.schemas import read_schemas
from tests.unit.project.conftest import Folder


def test_the_path_gives_the_topic(folder: Folder) -> None:
    found, findings = read_schemas(folder.path)
    assert findings == []
    schema = found["raw.till.order.v1"]
    assert (schema.topic, schema.subject) == ("raw.till.order.v1", "raw.till.order.v1-value")
    assert schema.path == folder.path / "schemas/raw/till/order.v1.avsc"
    assert schema.definition["name"] == "order"


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("a/b.v1.avsc", '{"type": "record",\n "name": "b" "x"}',
         "schemas/a/b.v1.avsc:2:14: not JSON: Expecting ',' delimiter"),
        ("a/b.v1.avsc", "", "schemas/a/b.v1.avsc:1:1: not JSON: Expecting value"),
        ("a/b.v1.avsc", "[" * 100_000, "schemas/a/b.v1.avsc:1:1: nested too deep"),
        ("a/b.v1.avsc", '{"type": "record", "type": "enum"}',
         "schemas/a/b.v1.avsc:1:1: not JSON that can be used: the key `type` is twice in one object"),
        ("a/b.v1.avsc", '"string"', "schemas/a/b.v1.avsc:1:1: an event's schema is an Avro record"),
        ("a/b.v1.avsc", '{"type": "enum", "name": "a.b"}',
         "schemas/a/b.v1.avsc:1:1: an event's schema is an Avro record"),
        ("a/b.v1.avsc", '{"type": "record", "namespace": "a", "name": "c"}',
         "schemas/a/b.v1.avsc:1:1: the record's full name is `a.c`, the file's path says `a.b`"),
        ("a/b.v1.avsc", '{"type": "record", "name": "b"}',
         "schemas/a/b.v1.avsc:1:1: the record's full name is `b`, the file's path says `a.b`"),
        ("a/b.avsc", "{}", "schemas/a/b.avsc: its path gives no topic (`a.b`): it does not end in its version"),
        ("b.v1.avsc", '{"type": "record", "name": "b"}', None),
        ("A/b.v1.avsc", "{}", "schemas/A/b.v1.avsc: its path gives no topic (`A.b.v1`): a topic is"
         " <domain>.<fact_or_entity>.v<major> in lower case, with underscores and no hyphens"),
        ("a/b.v1.avsc", '{"type": "record", "name": "a.b", "namespace": "ignored"}', None),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_schema_has_its_place(folder: Folder, path: str, text: str, message: str | None) -> None:
    (folder.path / "schemas" / path).parent.mkdir(exist_ok=True)
    (folder.path / "schemas" / path).write_text(text)
    _, findings = read_schemas(folder.path)
    assert [f"{finding.place}: {finding.message}" for finding in findings] == ([message] if message else [])


def test_a_wrong_name_is_mended_by_the_fix(folder: Folder) -> None:
    folder.edit("schemas/raw/till/order.v1.avsc", '"order"', '"ordr"')
    _, (finding,) = read_schemas(folder.path)
    assert finding.fix == 'write "namespace": "raw.till", "name": "order"'


def test_a_file_that_is_not_text_is_refused(folder: Folder) -> None:
    (folder.path / "schemas/raw/till/order.v1.avsc").write_bytes(b"\xff")
    _, (finding,) = read_schemas(folder.path)
    assert finding.message == "is not UTF-8"


def test_a_huge_file_is_not_read(folder: Folder) -> None:
    (folder.path / "schemas/raw/till/order.v1.avsc").write_text(" " * 1_048_577)
    _, (finding,) = read_schemas(folder.path)
    assert finding.message == "has 1,048,577 bytes; a schema may have 1,048,576"
