"""Secrets are found in the environment, then in files, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstem.errors import MISSING_SECRET, Misconfigured
from mainstem.project.secrets import MAX_BYTES, SecretSettings, SecretStore


def store(folder: Path, **environ: str) -> SecretStore:
    return SecretStore(SecretSettings(backend="file", folder=folder), environ)


def refused(secrets: SecretStore, name: str) -> Misconfigured:
    with pytest.raises(Misconfigured) as missing:
        secrets.get(name)
    assert missing.value.code is MISSING_SECRET
    return missing.value


def test_a_file_gives_the_secret_without_its_line_break(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret \n")
    assert store(tmp_path).get("key").reveal() == "s3cret "


def test_a_windows_line_break_is_none_of_the_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"s3cret\r\n")
    assert store(tmp_path).get("key").reveal() == "s3cret"


def test_only_the_last_line_break_is_taken_off(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("two\nlines\n\n")
    assert store(tmp_path).get("key").reveal() == "two\nlines\n"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("old")
    assert store(tmp_path, MAINSTEM_SECRET_KEY="new").get("key").reveal() == "new"


def test_an_empty_variable_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("file")
    assert store(tmp_path, MAINSTEM_SECRET_KEY="").get("key").reveal() == "file"


def test_a_rotated_secret_is_found_by_the_next_who_asks(tmp_path: Path) -> None:
    secrets = store(tmp_path)
    (tmp_path / "key").write_text("old")
    assert secrets.get("key").reveal() == "old"
    (tmp_path / "key").write_text("new")
    assert secrets.get("key").reveal() == "new"


def test_a_missing_secret_says_where_it_may_be_put(tmp_path: Path) -> None:
    problem = refused(store(tmp_path), "till_signing")
    assert problem.cause == "the secret `till_signing` is not set"
    assert problem.fix == f"set MAINSTEM_SECRET_TILL_SIGNING or write it to {tmp_path / 'till_signing'}"


def test_an_empty_file_is_a_missing_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n")
    assert refused(store(tmp_path), "key").cause == "the secret `key` is not set"


def test_without_the_file_backend_files_are_not_asked(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("file")
    secrets = SecretStore(SecretSettings(backend="env", folder=tmp_path), {})
    assert refused(secrets, "key").fix == "set MAINSTEM_SECRET_KEY"


@pytest.mark.parametrize("name", ["../key", "/etc/passwd", "sub/key", "..", "", "Key", "key\0"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "key").write_text("outside")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "key").write_text("outside")
    refused(store(tmp_path / "sub"), name)
    refused(store(tmp_path), name)


def test_bytes_that_are_no_text_are_refused_and_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"hunter\xff\xfe")
    problem = refused(store(tmp_path), "key")
    assert problem.cause == "the secret `key` is not UTF-8 text"
    assert problem.__cause__ is None
    assert problem.__context__ is None


def test_a_file_that_is_no_secret_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x" * (MAX_BYTES + 1))
    assert refused(store(tmp_path), "key").cause == "the secret `key` is larger than 65,536 bytes"


def test_a_folder_in_the_secrets_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    assert "cannot be read" in refused(store(tmp_path), "key").cause


def test_a_file_that_others_can_read_is_exposed(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    for mode, exposed in ((0o600, False), (0o400, False), (0o640, True), (0o604, True)):
        (tmp_path / "key").chmod(mode)
        assert store(tmp_path).is_exposed("key") is exposed


def test_a_secret_of_the_environment_is_not_exposed_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    (tmp_path / "key").chmod(0o644)
    assert not store(tmp_path, MAINSTEM_SECRET_KEY="y").is_exposed("key")
    assert not store(tmp_path).is_exposed("other")


def test_the_store_shows_nothing_of_the_environment(tmp_path: Path) -> None:
    assert "hunter2" not in repr(store(tmp_path, MAINSTEM_SECRET_KEY="hunter2"))


def test_a_secret_has_one_name_only(tmp_path: Path) -> None:
    assert "is not set" in refused(store(tmp_path, MAINSTEM_SECRET_KEY="x"), "Key").cause
