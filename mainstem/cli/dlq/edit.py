"""`mainstem dlq edit`."""

from __future__ import annotations

import asyncio
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mainstem.app.services import Services
from mainstem.cli.account import account_name
from mainstem.cli.decoded import REVEALED
from mainstem.cli.dlq.editor import edit_text
from mainstem.cli.dlq.hidden import Hidden
from mainstem.cli.dlq.options import AsOption
from mainstem.cli.dlq.show import InOption, LetterArgument
from mainstem.cli.exit import reports_errors
from mainstem.cli.letterboxes import find_letters
from mainstem.cli.opened import HERE, ProjectOption, open_services
from mainstem.cli.output import Format, FormatOption, say, show_rows
from mainstem.errors import PLAN_CHANGED, MainstemError, Misconfigured, Refused, Rejected, RequestRefused
from mainstem.kafka.reader import reading
from mainstem.recover import edit as editing
from mainstem.recover.edit import Form, Setting
from mainstem.recover.letters import Letter, LetterBox, read_contents

COLUMNS = ("field", "before", "after")
STDIN = "-"

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="lines[0].net=12.50, or note:=null for JSON instead of text. Repeatable."),
]
FileOption = Annotated[str, typer.Option("--file", help="The whole record as JSON in a file; - is stdin.")]
LatestOption = Annotated[
    bool, typer.Option("--latest", help="By the topic's newest schema, not by the one that wrote the record.")
]
RevisionOption = Annotated[
    int | None, typer.Option("--revision", min=0, help="Only if this is still the letter's revision.")
]


@dataclass(frozen=True)
class Opened:
    """A letter that is being edited."""

    box: LetterBox
    letter: Letter
    form: Form
    hidden: Hidden | None
    """None where personal fields are shown."""

    @property
    def shown(self) -> dict[str, Any]:
        """The record as the person sees it. Raises Rejected where there is none."""
        if self.form.document is None:
            why = self.form.problem.cause if self.form.problem else "the record is a tombstone"
            raise Rejected(f"there are no fields to edit: {why}", fix="give the whole record with --file")
        return self.form.document if self.hidden is None else self.hidden.hide(self.form.document)

    def restored(self, shown: dict[str, Any]) -> dict[str, Any]:
        """What the person gave, personal fields put back."""
        if self.hidden is None:
            return shown
        if self.form.document is not None:
            self.hidden.hide(self.form.document)
        return self.hidden.restore(shown)

    def differences(self, after: dict[str, Any]) -> list[editing.Difference]:
        """As they may be shown."""
        before = self.form.document or {}
        show = self.hidden.masked if self.hidden else lambda document: document
        return editing.differences(before, after, shown_before=show(before), shown_after=show(after))


@reports_errors
def edit(  # noqa: PLR0913 - these are the command's options
    letter: LetterArgument,
    dlq: InOption = "",
    *,
    set_: SetOption = None,
    file: FileOption = "",
    latest: LatestOption = False,
    revision: RevisionOption = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show personal fields too.")] = False,
    execute: Annotated[bool, typer.Option("--execute", help="Do it; without it the difference is shown.")] = False,
    as_: AsOption = "",
    output: FormatOption = Format.TABLE,
    project: ProjectOption = HERE,
) -> None:
    """Makes a new version of a letter's record: in your editor, or with --set or --file. The old one is kept.

    Personal fields are shown as *** and keep their value if they are left so.
    """
    if set_ and file:
        raise typer.BadParameter("give --set or --file, not both")
    settings = _settings(set_ or ())
    if reveal:
        say(REVEALED)
    with open_services(project) as services:
        opened = _open(services, letter, dlq, latest=latest, reveal=reveal)
        _check_revision(opened.letter, revision)
        if settings:
            _finish(services, opened, _set(opened.shown, settings), as_, output, execute=execute)
        elif file:
            _finish(services, opened, editing.read_document(_read(file)), as_, output, execute=execute)
        else:
            _edit_by_hand(services, opened, as_, output, execute=execute)


def _open(services: Services, text: str, dlq: str, *, latest: bool, reveal: bool) -> Opened:
    """Raises Misconfigured when there is no such letter, or there are several; Refused for one that does not wait."""
    found = find_letters(services, text, dlq)
    if len(found) > 1:
        origins = ", ".join(str(letter.origin) for _, letter in found)
        raise Misconfigured(f"{text} stands for several letters: {origins}", fix="name one by its origin")
    box, letter = found[0]
    editing.check_editable(letter)
    with reading(services.config) as reader:
        whole = replace(letter, content=read_contents(reader, [letter.place])[letter.place])
    form = editing.form_of(services.registry, whole, latest=latest)
    own = services.project.schemas.get(letter.origin.topic)
    definitions = [form.definition, *([own.definition] if own else [])]
    return Opened(box, whole, form, None if reveal else Hidden(definitions))


def _finish(
    services: Services, opened: Opened, shown: dict[str, Any], who: str, output: Format, *, execute: bool
) -> bool:
    """Shows the difference and, with `execute`, writes the version; whether there was anything to write."""
    try:
        value, after = opened.form.fill_in(opened.restored(shown))
    except RequestRefused as refused:
        raise _with_every_field(refused) from None
    changed = opened.differences(after)
    show_rows([found._asdict() for found in changed], COLUMNS, output)
    if not changed and value == opened.letter.value:
        say("nothing differs")
        return False
    if not execute:
        say("nothing was changed; do it with --execute")
        return True
    record = editing.edited_record(opened.letter, value, who or account_name())
    asyncio.run(editing.append(services.config, opened.letter, record, opened.box.end or {}))
    letter = opened.letter
    say(f"{letter.event_id} is at revision {letter.revision + 1} now; it goes on waiting:")
    say(f"mainstem dlq redrive {letter.place.topic.removesuffix('.dlq')} --id {shlex.quote(letter.event_id)} --execute")
    return True


def _edit_by_hand(services: Services, opened: Opened, who: str, output: Format, *, execute: bool) -> None:
    """Opens the editor. The file is kept where it is needed once more, and that is said."""
    file = edit_text(editing.write_document(opened.shown))
    again = f"mainstem dlq edit {shlex.quote(str(opened.letter.origin))} --file {file}"
    try:
        was_changed = _finish(
            services, opened, editing.read_document(file.read_text("utf-8")), who, output, execute=execute
        )
    except MainstemError:
        say(f"your text is kept in {file}; mend it, then: {again}")
        raise
    if was_changed and not execute:
        say(f"your text is kept in {file}: {again} --revision {opened.letter.revision} --execute")
    else:
        file.unlink()


def _settings(texts: list[str] | tuple[()]) -> list[Setting]:
    try:
        return [editing.parse_setting(text) for text in texts]
    except ValueError as error:
        raise typer.BadParameter(f"--set {error}") from None


def _set(document: dict[str, Any], settings: list[Setting]) -> dict[str, Any]:
    for setting in settings:
        document = setting.apply(document)
    return document


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == STDIN else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file} cannot be read ({type(error).__name__})", fix="name a text file") from None


def _check_revision(letter: Letter, expected: int | None) -> None:
    if expected is not None and expected != letter.revision:
        raise Refused(
            f"{letter.event_id} is at revision {letter.revision}, not {expected}",
            code=PLAN_CHANGED,
            fix="look at the letter as it is now, and edit that",
        )


def _with_every_field(refused: RequestRefused) -> Rejected:
    """All wrong fields with what each expects, in one line."""
    named = "; ".join(f"{error.field or 'the record'}: {error.expected}" for error in refused.fields)
    return Rejected(f"the record does not fit its schema: {named}", code=refused.code, fix="correct these fields")
