"""`mainstem dlq edit`: by options, by file, by hand; two at once; personal fields unseen."""

from __future__ import annotations

import asyncio
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mainstem.codec import headers as h
from mainstem.devstack import Stack
from mainstem.errors import MainstemError
from mainstem.flow.letter_status import DELIVERED
from mainstem.kafka.reader import reading
from mainstem.recover import edit
from mainstem.recover.letters import read_contents, read_letters
from tests.integration.recover.conftest import Shop, ids
from tests.integration.recover.desk import Desk, open_desk, schema

pytestmark = pytest.mark.stack

EDITOR = """#!/bin/sh
cp "$1" "{seen}"
{change}
"""


@pytest.fixture
def desk(shop: Shop, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = open_desk(shop, stack, tmp_path, monkeypatch.setenv)
    made.sell(("k1", "a", "-1.50"))
    shop.refuse(*shop.read(shop.topic))
    return made


def editor(desk: Desk, monkeypatch: pytest.MonkeyPatch, change: str) -> Path:
    """Makes `change`, a line of shell about the file $1, the person's editor; gives where it leaves what it saw."""
    seen, script = desk.folder / "seen.json", desk.folder / "editor.sh"
    script.write_text(EDITOR.format(seen=seen, change=change))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(script))
    return seen


def test_the_editor_shows_personal_fields_as_marks_and_they_keep_their_values(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = editor(desk, monkeypatch, 'sed -i s/-1.50/1.50/ "$1"')

    result = desk.run("edit", "a", "--execute", "--as", "ann")
    shown = desk.json("show", "a", "--reveal")

    assert result.exit_code == 0, result.stderr
    assert json.loads(seen.read_text()) == {"id": "a", "household": "***", "net": "-1.50"}
    assert "Miller" not in result.output
    assert shown["data"] == {"id": "a", "household": "Miller", "net": "1.50"}
    assert [version["edited_by"] for version in shown["versions"]] == [None, "ann"]


def test_without_execute_the_text_is_kept_and_the_command_that_does_it_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(desk, monkeypatch, 'sed -i s/-1.50/1.50/ "$1"')

    preview = desk.run("edit", "a")
    again = preview.stderr.rsplit("mainstem dlq ", 1)[1].split()
    done = desk.run(*again)
    late = desk.run(*again)

    assert preview.exit_code == 0
    assert "net" in preview.stdout
    assert done.exit_code == 0, done.stderr
    assert desk.json("show", "a")["data"]["net"] == "1.50"
    assert late.exit_code == 4, "it is at another revision by now"
    Path(again[again.index("--file") + 1]).unlink()


def test_a_mistake_is_told_field_by_field_and_the_text_is_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(desk, monkeypatch, """echo '{"id": 7, "nett": "1.50"}' > "$1" """)

    result = desk.run("edit", "a", "--execute")

    assert result.exit_code == 1
    assert "MS-104" in result.stderr
    for told in ("id: string", "net: decimal(12,2)", "did you mean 'net'"):
        assert told in result.stderr
    kept = Path(result.stderr.split("your text is kept in ")[1].split(";")[0])
    assert "nett" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0, "nobody else reads it"
    kept.unlink()
    assert len(desk.copies()) == 1


def test_an_editor_that_fails_changes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(desk, monkeypatch, "exit 3")
    assert desk.run("edit", "a", "--execute").exit_code == 2
    assert len(desk.copies()) == 1


def test_with_latest_the_newest_schema_is_filled_in(desk: Desk) -> None:
    more = {"name": "till", "type": "string", "default": "none"}
    with desk.services() as services:
        services.registry.register(f"{desk.shop.topic}-value", schema(desk.shop, more))

    old = desk.run("edit", "a", "--set", "till=7", "--execute")
    new = desk.run("edit", "a", "--set", "till=7", "--latest", "--execute")

    assert old.exit_code == 1
    assert "no such field" in old.stderr
    assert new.exit_code == 0, new.stderr
    ids_of_schemas = {(copy.value() or b"")[1:5] for copy in desk.copies()}
    assert len(ids_of_schemas) == 2


def test_a_letter_that_is_not_avro_is_replaced_by_a_file(desk: Desk) -> None:
    desk.shop.publish([("k9", "bad")], b"no avro")
    desk.shop.refuse(*(message for message in desk.shop.read(desk.shop.topic) if ids([message]) == ["bad"]))
    whole = json.dumps({"id": "bad", "household": "Smith", "net": "9.99"})

    refused = desk.run("edit", "bad", "--set", "net=1")
    done = desk.run("edit", "bad", "--file", "-", "--execute", given=whole)

    assert refused.exit_code == 1
    assert "--file" in refused.stderr
    assert done.exit_code == 0, done.stderr
    assert desk.json("show", "bad", "--reveal")["data"] == json.loads(whole)


def test_a_letter_that_does_not_wait_is_not_edited(desk: Desk) -> None:
    desk.shop.send([desk.shop.status_of(desk.shop.read(desk.shop.topic)[0], DELIVERED)])

    result = desk.run("edit", "a", "--set", "net=1", "--execute")

    assert result.exit_code == 4
    assert "was delivered" in result.stderr


def test_of_two_people_who_edit_at_once_one_is_refused_and_nothing_is_mixed(desk: Desk) -> None:
    shop = desk.shop
    box = read_letters(shop.config, shop.dlq)
    (light,) = box.letters
    with reading(shop.config) as reader:
        letter = replace(light, content=read_contents(reader, [light.place])[light.place])

    def write(who: str) -> str:
        try:
            record = edit.edited_record(letter, letter.value or b"", who)
            asyncio.run(edit.append(shop.config, letter, record, box.end or {}))
        except MainstemError as error:
            return error.code.number
        return "done"

    with ThreadPoolExecutor(2) as people:
        ends = list(people.map(write, ["ann", "bob"]))
    third = write("cid")

    assert sorted(ends) == ["MS-402", "done"]
    assert third == "MS-402"
    revisions = [h.as_dict(copy.headers()).get(h.REVISION) for copy in desk.copies()]
    assert sorted(revisions, key=lambda revision: revision or b"") == [None, b"1"]


def test_an_edit_that_changes_nothing_makes_no_version(desk: Desk) -> None:
    result = desk.run("edit", "a", "--set", "net=-1.50", "--execute")

    assert result.exit_code == 0
    assert "nothing differs" in result.stderr
    assert len(desk.copies()) == 1
