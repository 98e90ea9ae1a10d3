"""Personal fields in a document that is edited: hidden behind a mark that keeps their value if it is left as it is.

`***` stands for what was at that very place. Where a field can occur several times (in an array or a map) each mark has
a number, so that items may be moved and taken out: `***2` is the same value wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mainstem.cli.masking import is_personal, masked
from mainstem.codec.avro_shape import Avro, Named, read_schema, resolve
from mainstem.errors import SCHEMA_REFUSES, Rejected
from mainstem.sdk.secret import MASK

_MARK: Final = re.compile(re.escape(MASK) + r"[0-9]*")

Place = tuple[str, ...] | None
"""The names of the fields around a value; None inside of an array or a map."""
Hide = Callable[[Any, Place], str]


class Hidden:
    """The values behind the marks of one document."""

    def __init__(self, definitions: Sequence[Mapping[str, Any]]) -> None:
        """What any of these schemas tags is personal."""
        self._definitions = definitions
        self._numbered: dict[str, Any] = {}
        self._placed: dict[Place, Any] = {}

    def hide(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document with marks."""
        shown: Any = document
        for definition in self._definitions:
            schema, named = read_schema(definition)
            shown = _walk(schema, shown, named, self._mark, ())
        result: dict[str, Any] = shown
        return result

    def restore(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """The document with the values that its marks stand for. Raises Rejected for a mark that stands for nothing."""
        result: dict[str, Any] = self._restored(shown, ())
        return result

    def masked(self, document: Any) -> Any:
        """For looking at: every mark the same."""
        for definition in self._definitions:
            document = masked(definition, document)
        return document

    def _mark(self, value: Any, place: Place) -> str:
        if place is not None:
            self._placed.setdefault(place, value)
            return MASK
        if isinstance(value, str) and value in self._numbered:
            return value  # another schema's tag has hidden it already
        mark = f"{MASK}{len(self._numbered) + 1}"
        self._numbered[mark] = value
        return mark

    def _restored(self, shown: Any, place: Place) -> Any:
        if isinstance(shown, Mapping):
            return {name: self._restored(part, _inside(place, name)) for name, part in shown.items()}
        if isinstance(shown, list):
            return [self._restored(part, None) for part in shown]
        if not isinstance(shown, str) or not _MARK.fullmatch(shown):
            return shown
        if shown in self._numbered:
            return self._numbered[shown]
        if shown == MASK and place in self._placed:
            return self._placed[place]
        raise Rejected(
            f"{'.'.join(place or ())}: {shown} stands for no value of this record".removeprefix(": "),
            code=SCHEMA_REFUSES,
            fix="leave the marks as `dlq edit` shows them, or use --reveal",
        )


def _walk(schema: Avro, value: Any, named: Named, hide: Hide, place: Place) -> Any:
    if value is None:
        return None
    if is_personal(schema):
        return hide(value, place)
    schema = resolve(schema, named)
    if isinstance(schema, list):
        for branch in schema:  # whichever branch it is: a tag in any of them hides the field
            value = _walk(branch, value, named, hide, place)
        return value
    match schema["type"], value:
        case "record", Mapping():
            value = _walk_record(schema, value, named, hide, place)
        case "array", list():
            value = [_walk(schema["items"], item, named, hide, None) for item in value]
        case "map", Mapping():
            value = {key: _walk(schema["values"], item, named, hide, None) for key, item in value.items()}
    return value


def _walk_record(schema: Avro, value: Mapping[str, Any], named: Named, hide: Hide, place: Place) -> dict[str, Any]:
    shown = dict(value)
    for field in schema["fields"]:
        name, inside = field["name"], _inside(place, field["name"])
        if shown.get(name) is None:
            continue
        shown[name] = (
            hide(shown[name], inside) if is_personal(field) else _walk(field["type"], shown[name], named, hide, inside)
        )
    return shown


def _inside(place: Place, name: str) -> Place:
    return None if place is None else (*place, name)
