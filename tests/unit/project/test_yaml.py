"""YAML is read as plain data with its places, and hostile YAML is refused quickly."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from mainstem.project.findings import ProjectError
from mainstem.project.yaml import MAX_BYTES, MAX_NODES, parse, read


def refused(text: str) -> str:
    with pytest.raises(ProjectError) as problem:
        parse(text, "x.yaml")
    return problem.value.cause


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("12", 12),
        ("-3", -3),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("!!float 3", 3.0),
        ("! 5", "5"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(text: str, value: Any) -> None:
    found = parse(f"a: {text}", "x.yaml").data["a"]
    assert (found, type(found)) == (value, type(value))


def test_every_key_and_value_has_its_place() -> None:
    document = parse("a: 1\nb:\n  - c\n  - d: {e: f}\n", "x.yaml")
    assert document.data == {"a": 1, "b": ["c", {"d": {"e": "f"}}]}
    assert str(document.at(("a",))) == "x.yaml:1:4"
    assert str(document.at(("b", 1, "d", "e"))) == "x.yaml:4:12"
    assert str(document.at(("b", 1, "d", "e"), key=True)) == "x.yaml:4:9"
    assert str(document.at(("b", 1, "nothing"))) == "x.yaml:4:5"


def test_aliases_are_copies_and_keep_the_place_of_their_use() -> None:
    document = parse("a: &x {k: [1]}\nb: *x\nc: *x\n", "x.yaml")
    assert document.data == {"a": {"k": [1]}, "b": {"k": [1]}, "c": {"k": [1]}}
    assert document.data["b"] is not document.data["c"]
    assert str(document.at(("c", "k", 0))) == "x.yaml:3:4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: !!python/object/apply:os.system [id]",
            "x.yaml:1:4: the tag !!python/object/apply:os.system is not allowed",
        ),
        ("a: !!python/name:os.system x", "x.yaml:1:4: the tag !!python/name:os.system is not allowed"),
        ("%TAG ! tag:yaml.org,2002:python/\n---\na: !x b", "x.yaml:3:4: the tag !!python/x is not allowed"),
        ("!!python/object:x a: b", "x.yaml:1:1: the tag !!python/object:x is not allowed"),
        ("a: !!binary aGk=", "x.yaml:1:4: the tag !!binary is not allowed"),
        ("a: !!set {b}", "x.yaml:1:4: the tag !!set is not allowed"),
        ("a: !local b", "x.yaml:1:4: the tag `!...` is not allowed"),
        ("a: !!int b", "x.yaml:1:4: not a value of the type int"),
        ("a: 1\nb: 2\na: 3", "x.yaml:3:1: the key `a` is here twice; the first is on line 1"),
        ("a: {b: 1, b: 2}", "x.yaml:1:11: the key `b` is here twice; the first is on line 1"),
        ("a: &x [*x]", "x.yaml:1:8: an alias (`*`) without its anchor before it"),
        ("a: *x", "x.yaml:1:4: an alias (`*`) without its anchor before it"),
        ("a: &x {b: 1}\nc: {<<: *x}", "x.yaml:2:5: merge keys (`<<`) are not part of YAML 1.2"),
        ("? [a]\n: b", "x.yaml:1:3: a key must be plain text"),
        ("&a b: 1\n*a : 2", "x.yaml:2:1: a key must be plain text"),
        ("a: 1\n---\nb: 2", "x.yaml:2:1: a second document in one file"),
        ("a: " + "9" * 100_000, "x.yaml:1:4: the number does not fit into 64 bits"),
        ("a: 0x" + "f" * 100_000, "x.yaml:1:4: the number does not fit into 64 bits"),
        ("a: 1e99999", "x.yaml:1:4: not a finite number"),
        ("a: -.inf", "x.yaml:1:4: not a finite number"),
        ("a: .NaN", "x.yaml:1:4: not a finite number"),
        ("a: \x01", "x.yaml:1:4: not YAML: a control character"),
        ("a: \ud800", "x.yaml:1:4: not YAML: a control character"),
        ('a: "\\Uffffffff"', "x.yaml:1:1: not YAML: an escape that is no letter"),
        ("a:\n\t- b", "x.yaml:2:1: not YAML: found character '\\t' that cannot start any token"),
        ("a: b: c", "x.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("a: [1", "x.yaml:1:6: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("%YAML 3.0\n---\na: 1", "x.yaml:1:1: not YAML: found incompatible YAML document (version 1.* is required)"),
    ],
)
def test_what_is_refused_is_refused_at_its_place(text: str, message: str) -> None:
    assert refused(text) == message


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{last}'] * 10)}]\n" for last, this in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, f"x.yaml:5:8: more than {MAX_NODES:,} values, those of aliases included"),
        ("[" * 100_000, "x.yaml:1:33: nested more than 32 deep"),
        ("{a: " * 50_000, "x.yaml:1:129: nested more than 32 deep"),
        ("- " * 100_000, "x.yaml:1:65: nested more than 32 deep"),
        ("".join("  " * depth + "a:\n" for depth in range(60)), "x.yaml:33:65: nested more than 32 deep"),
        ("a0: &a0 []\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60)),
         "x.yaml:33:12: nested more than 32 deep"),
        ("a: [" + "1," * 30_000 + "]", f"x.yaml:1:40001: more than {MAX_NODES:,} values, those of aliases included"),
    ],
    ids=["billion laughs", "sequences", "mappings", "blocks", "indented", "anchors", "wide"],
)  # fmt: skip
def test_hostile_yaml_is_refused_before_it_costs_anything(text: str, message: str) -> None:
    started = time.monotonic()
    assert refused(text) == message
    assert time.monotonic() - started < 60


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    file.write_text("a: " + "x" * MAX_BYTES)
    with pytest.raises(ProjectError, match=r"big.yaml: has 262,147 bytes; mainstem reads 262,144 of YAML"):
        read(file, "big.yaml")


def test_a_file_that_is_not_utf_8_is_refused_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(ProjectError, match=r"latin.yaml:2:1: is not UTF-8"):
        read(file, "latin.yaml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "bom.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read(file, "bom.yaml").data == {"a": 1}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"none.yaml: cannot be read: No such file or directory"):
        read(tmp_path / "none.yaml", "none.yaml")


@pytest.mark.parametrize("text", ["p: *hunter2", "p: !hunter2 a", "p: !hunter2!a b", "p: '\\hunter2", 'p: "\\hunter2"'])
def test_a_password_that_reads_as_syntax_is_not_quoted(text: str) -> None:
    assert "hunter" not in refused(text)
