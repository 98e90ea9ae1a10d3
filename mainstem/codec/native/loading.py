"""Which part of a writer's plan fills which column: the two schemas are walked once, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from fastavro import parse_schema

from mainstem.codec.native import _avro
from mainstem.codec.native.columns import MAX_COLUMN_BYTES, Shelf, members_of
from mainstem.codec.native.defaults import BAD_DEFAULT, default_bytes
from mainstem.codec.native.plan import MAX_DEPTH, MAX_MEMORY_BYTES, Node, Unsupported, compile_nodes
from mainstem.codec.native.resolution import PROMOTIONS, Avro, Named, Pair, definition

MAX_STEPS: Final = 100_000


class Step(NamedTuple):
    """One step; columns.h says what each part means."""

    kind: str
    node: int
    column: int
    children: tuple[int, ...] = ()
    symbols: tuple[int, ...] = ()
    fills: tuple[tuple[int, bytes], ...] = ()


class Table:
    """The columns of a schema, and the loaders that fill them from what it or another schema wrote."""

    def __init__(self, schema: Avro, *, max_column_bytes: int = MAX_COLUMN_BYTES) -> None:
        """Raises Unsupported where the values are no columns, and what fastavro raises of an invalid schema."""
        self._schema = schema
        self._shelf = Shelf(schema)
        self.layout = _avro.Layout(list(self._shelf.columns), max_column_bytes)

    def loader(
        self, writer: Avro | None = None, *, max_depth: int = MAX_DEPTH, max_memory: int = MAX_MEMORY_BYTES
    ) -> _avro.Loader:
        """Fills the columns from the bytes of that schema, or of the table's own.

        Raises Unsupported where a field has no default, or where the schemas give the bytes different logical types.
        """
        named: dict[str, Avro] = {}
        written = self._shelf.schema if writer is None else parse_schema(writer, named_schemas=named)
        nodes = list(self._shelf.nodes) if writer is None else list(compile_nodes(writer, self._schema))
        own = 0 if writer is None else len(nodes)
        if own:
            nodes += [
                node._replace(children=tuple(own + child for child in node.children)) for node in self._shelf.nodes
            ]
        walk = _Walk(self._shelf, nodes, named)
        walk.add(_Place(0, own, written, self._shelf.schema, 0, same=writer is None))
        return _avro.Loader(_avro.Plan(list(nodes), max_depth, max_memory), self.layout, list(walk.steps))


class _Place(NamedTuple):
    """Where the walk is: in the writer's plan and schema, in the reader's, and in the columns."""

    node: int
    own: int
    written: Avro
    wanted: Avro
    column: int
    same: bool
    """The writer's schema is the reader's: a union's branch is that very branch."""
    branch: int = -1


class _Walk:
    def __init__(self, shelf: Shelf, nodes: Sequence[Node], writer: Named) -> None:
        self.steps: list[Step] = []
        self._columns = shelf.columns
        self._nodes = nodes
        self._pair = Pair(writer, shelf.named)
        self._reader = shelf.named

    def add(self, at: _Place) -> int:
        """The number of the step for that place."""
        if len(self.steps) >= MAX_STEPS:
            raise Unsupported(f"more than {MAX_STEPS} steps")
        node = self._nodes[at.node]
        if node.kind == "mismatch":
            return self._append(Step("mismatch", at.node, at.column))
        written = definition(at.written, self._reader if at.same else self._pair.writer)
        if isinstance(written, list):
            places = [
                at._replace(node=child, written=branch, branch=i)
                for i, (child, branch) in enumerate(zip(node.children, written, strict=True))
            ]
            return self._holder(Step("union", at.node, at.column), places)
        wanted = definition(at.wanted, self._reader)
        if isinstance(wanted, list):
            return self._branch(at, written, wanted)
        return self._plain(at._replace(written=written, wanted=wanted), node)

    def _append(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1

    def _holder(self, step: Step, places: Sequence[_Place | None]) -> int:
        """A step and its children, which stand behind it."""
        number = self._append(step)
        children = tuple(-1 if place is None else self.add(place) for place in places)
        self.steps[number] = step._replace(children=children)
        return number

    def _branch(self, at: _Place, written: Avro, wanted: list[Avro]) -> int:
        """Into the branch of the reader's union that takes the value; a union of several has a column for each."""
        fitting = (i for i, branch in enumerate(wanted) if self._pair.fits(written, branch))
        number = at.branch if at.same else next(fitting)
        union = self._nodes[at.own]
        inside = at._replace(own=union.children[number], wanted=wanted[number])
        members = members_of(union, self._nodes)
        if len(members) == 1 or number not in members:
            return self.add(inside)
        column = self._columns[at.column].children[members.index(number)]
        return self._holder(Step("member", at.node, at.column), [inside._replace(column=column)])

    def _plain(self, at: _Place, node: Node) -> int:
        own, column = self._nodes[at.own], self._columns[at.column]
        if node.kind == "record":
            return self._record(at, node)
        if node.kind in ("array", "map"):
            part = "items" if node.kind == "array" else "values"
            item = column.children[0] if node.kind == "array" else self._columns[column.children[0]].children[1]
            inside = _Place(node.children[0], own.children[0], at.written[part], at.wanted[part], item, at.same)
            return self._holder(Step(node.kind, at.node, at.column), [inside])
        if node.kind == "enum":
            return self._append(Step("enum", at.node, at.column, symbols=_symbols(node, own)))
        return self._append(Step(_kind(at, node, own), at.node, at.column))

    def _record(self, at: _Place, node: Node) -> int:
        fields: Sequence[Mapping[str, Any]] = at.wanted["fields"]
        numbers = {str(field["name"]): i for i, field in enumerate(fields)}
        places: list[_Place | None] = []
        for i, name in enumerate(node.names):
            place = None if node.skipped[i] else self._field(at, numbers[name])
            written = at.written["fields"][i]["type"]
            places.append(place and place._replace(node=node.children[i], written=written, same=at.same))
        number = self._holder(Step("record", at.node, at.column), places)
        fills = tuple(self._fill(self._field(at, numbers[name]), default) for name, default in node.defaults)
        self.steps[number] = self.steps[number]._replace(fills=fills)
        return number

    def _field(self, at: _Place, number: int) -> _Place:
        """A field of the reader's record, as if the reader had written it."""
        own, part = self._nodes[at.own].children[number], at.wanted["fields"][number]["type"]
        return _Place(own, own, part, part, self._columns[at.column].children[number], same=True)

    def _fill(self, at: _Place, default: Any) -> tuple[int, bytes]:
        try:
            return self.add(at), default_bytes(at.wanted, default, self._reader)
        except BAD_DEFAULT as error:
            raise Unsupported(f"a default that does not fit its type ({error})") from None


def _symbols(node: Node, own: Node) -> tuple[int, ...]:
    """The reader's numbers of the writer's symbols; -1 for those that it does not have."""
    known = {symbol: i for i, symbol in enumerate(own.names)}
    read = [None if skipped else name for name, skipped in zip(node.names, node.skipped, strict=True)]
    if missing := [name for name in read if name is not None and name not in known]:
        raise Unsupported(f"an enum whose default {missing[0]} is no symbol")
    return tuple(-1 if name is None else known[name] for name in read)


def _kind(at: _Place, node: Node, own: Node) -> str:
    """How a scalar is read. The reader's logical type counts, as the Avro specification has it."""
    if node.kind == own.kind and node.scale == own.scale:
        return node.kind
    types = (at.written["type"], at.wanted["type"])
    writer_is_plain, reader_is_plain = node.kind in (types[0], PROMOTIONS.get(types)), own.kind == types[1]
    if types[0] != types[1] and reader_is_plain:
        return PROMOTIONS[types]
    if types[0] == types[1] and (writer_is_plain or reader_is_plain):
        return own.kind
    raise Unsupported(f"{node.kind} is not read as {own.kind}")
