"""References are resolved once, in values only, and what is missing is said at its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mainstem.errors import BAD_PROJECT, MISSING_SECRET, STACK_NOT_RUNNING
from mainstem.project.document import Region
from mainstem.project.interpolate import References, Resolved, secrets_in
from mainstem.project.secrets import SecretSettings, SecretStore
from mainstem.project.stack import Stack
from mainstem.project.yaml import parse
from mainstem.sdk.secret import Secret

ENVIRON = {"DATA": "elsewhere", "EMPTY": "", "TRICK": "${secret:key}", "MAINSTEM_SECRET_KEY": "hunter2"}


def resolve(text: str, folder: Path, *, as_written: str | None = None) -> Resolved:
    document = parse(text, "x.yaml")
    references = References(ENVIRON, SecretStore(SecretSettings(), ENVIRON), Stack(folder))
    return references.resolve(document.data, Region(document), as_written=as_written)


def value(text: str, folder: Path) -> Any:
    resolved = resolve(f'a: "{text}"', folder)
    assert resolved.findings == ()
    return resolved.value["a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${DATA}", "elsewhere"),
        ("${DATA:data}/products.csv", "elsewhere/products.csv"),
        ("${MISSING:data/journey}/products.csv", "data/journey/products.csv"),
        ("${MISSING:}", ""),
        ("${EMPTY:default}", ""),
        ("${MISSING:http://a:1/b}", "http://a:1/b"),
        ("${DATA}-${DATA}", "elsewhere-elsewhere"),
        ("$${DATA}", "${DATA}"),
        ("$DATA and $ and {x}", "$DATA and $ and {x}"),
        ("${TRICK}", "${secret:key}"),
        ("${secret:key}", Secret("hunter2")),
    ],
)
def test_a_reference_gives_its_value(tmp_path: Path, text: str, expected: Any) -> None:
    assert value(text, tmp_path) == expected


def test_the_stack_gives_its_addresses(tmp_path: Path) -> None:
    (tmp_path / ".mainstem").mkdir()
    state = {"bootstrap": "127.0.0.1:1", "registry_url": "http://127.0.0.1:2", "postgres_dsn": "postgresql://x"}
    (tmp_path / ".mainstem/stack.json").write_text(json.dumps(state))
    assert value("${stack:bootstrap}", tmp_path) == "127.0.0.1:1"
    assert value("${stack:postgres_dsn}?a=b", tmp_path) == "postgresql://x?a=b"


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("${MISSING}", "the environment variable MISSING is not set", "set it, or write `${MISSING:default}`"),
        ("${secret:nope}", "the secret `nope` is not set", "set MAINSTEM_SECRET_NOPE"),
        ("${stack:bootstrap}", "the development stack is not running", STACK_NOT_RUNNING.fix),
        ("${stack:bootsrap}", "the development stack has no `bootsrap`; did you mean `bootstrap`?",
         "it has bootstrap, postgres_dsn, registry_url"),
        ("pw=${secret:key}", "`${secret:key}` has other text around it",
         "put the whole text into the secret, and write only `${secret:name}`"),
        ("${secert:key}", "a `${...}` here is not a reference; did you mean `secret`?",
         "write `${VARIABLE:default}`, `${secret:name}`, `${stack:name}`, or `$${` for a plain `${`"),
        ("${hunter2}", "a `${...}` here is not a reference",
         "write `${VARIABLE:default}`, `${secret:name}`, `${stack:name}`, or `$${` for a plain `${`"),
        ("${secret:../key}",
         "the name of a secret is lower case with digits and underscores",
         "correct `${secret:name}`"),
        ("${DATA", "`${` without its `}`, or with another reference inside", "write `$${` for a plain `${`"),
        ("${A:${DATA}}", "`${` without its `}`, or with another reference inside", "write `$${` for a plain `${`"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_at_its_place(tmp_path: Path, text: str, message: str, fix: str) -> None:
    resolved = resolve(f'k:\n  - "{text}"', tmp_path)
    (finding,) = resolved.findings
    assert (str(finding.place), finding.message, finding.fix) == ("x.yaml:2:5", message, fix)
    assert resolved.pending == {("k", 0)}


def test_each_kind_of_failure_has_its_code(tmp_path: Path) -> None:
    codes = [finding.code for finding in resolve('["${M}", "${secret:n}", "${stack:bootstrap}"]', tmp_path).findings]
    assert codes == [BAD_PROJECT, MISSING_SECRET, STACK_NOT_RUNNING]


@pytest.mark.parametrize("state", ["", "{", "[" * 100_000, "[]", '{"bootstrap": 5}', "{}"])
def test_a_broken_state_file_is_one_finding(tmp_path: Path, state: str) -> None:
    (tmp_path / ".mainstem").mkdir()
    (tmp_path / ".mainstem/stack.json").write_text(state)
    assert len(resolve('"${stack:bootstrap}"', tmp_path).findings) == 1


def test_keys_are_never_searched(tmp_path: Path) -> None:
    assert resolve('"${MISSING}": 1', tmp_path).value == {"${MISSING}": 1}


def test_what_is_to_stay_as_written_stays(tmp_path: Path) -> None:
    resolved = resolve('s: {settings: {a: "${secret:nope}"}}', tmp_path, as_written="settings")
    assert resolved.findings == ()
    assert resolved.value == {"s": {"settings": {"a": "${secret:nope}"}}}


def test_the_secrets_that_data_refers_to_are_known() -> None:
    assert secrets_in({"a": ["${secret:x}", {"b": "${secret:y}"}], "c": 5, "d": "x"}) == {"x", "y"}


def test_nothing_that_was_resolved_shows_a_secret(tmp_path: Path) -> None:
    assert "hunter2" not in repr(resolve('a: "${secret:key}"', tmp_path))
