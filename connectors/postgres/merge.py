"""The statements that bring a staged batch into the target table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import sql

from connectors.postgres.layout import GROUP, PLACE
from connectors.postgres.refusals import STAGE
from connectors.postgres.table import Column, Table

_STAGE = sql.Identifier("pg_temp", STAGE)


def create_stage(table: Table, columns: Mapping[str, Column]) -> sql.Composed:
    """Emptied at each COMMIT. Only `Table.required` columns refuse a null: the other rules are the target's."""
    fields = [sql.SQL("{} int NOT NULL DEFAULT 0").format(sql.Identifier(name)) for name in (GROUP, PLACE)]
    for column in columns.values():
        rule = sql.SQL("NOT NULL" if column.name in table.required else "")
        fields.append(sql.SQL("{} {} {}").format(sql.Identifier(column.name), sql.SQL(column.staged_as), rule))
    return sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DELETE ROWS").format(sql.Identifier(STAGE), _comma(fields))


def copy(names: Sequence[str]) -> sql.Composed:
    """Copies lines of these columns, in binary."""
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(_STAGE, _names(names))


def merges(
    table: Table, columns: Mapping[str, Column], groups: Sequence[Sequence[str]], *, all_differ: bool
) -> list[sql.Composed]:
    """What to run, in order, for the groups of a batch. `all_differ`: no two of its rows have the same key."""
    numbered = [([columns[name] for name in names], number) for number, names in enumerate(groups)]
    if table.replace_by:
        by = columns[table.replace_by]
        return [_delete(table, by)] + [_insert_latest(table, by, *group) for group in numbered]
    if table.key:
        return [_upsert(table, *group, all_differ=all_differ) for group in numbered]
    return [_append(table, *group) for group in numbered]


def _delete(table: Table, by: Column) -> sql.Composed:
    return sql.SQL("DELETE FROM {} WHERE {} IN (SELECT {} FROM {} AS staged)").format(
        table.identifier, sql.Identifier(by.name), _value(by), _STAGE
    )


def _insert_latest(table: Table, by: Column, columns: Sequence[Column], group: int) -> sql.Composed:
    """Only the rows of the last event of each value: what an earlier one of the batch wrote is replaced as well."""
    return _append(table, columns, group) + sql.SQL(
        " AND ({place}, {by}) IN (SELECT max({place}), {by} FROM {stage} AS staged GROUP BY {by})"
    ).format(place=sql.Identifier(PLACE), by=_value(by), stage=_STAGE)


def _upsert(table: Table, columns: Sequence[Column], group: int, *, all_differ: bool) -> sql.Composed:
    keys = [column for column in columns if column.name in table.key]
    changed = [column.name for column in columns if column.name not in table.key]
    updates = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in changed]
    insert = _append(table, columns, group) if all_differ else _append_last(table, columns, keys, group)
    action = sql.SQL("UPDATE SET {}").format(_comma(updates)) if updates else sql.SQL("NOTHING")
    return insert + sql.SQL(" ON CONFLICT ({}) DO {}").format(_names(table.key), action)


def _append_last(table: Table, columns: Sequence[Column], keys: Sequence[Column], group: int) -> sql.Composed:
    """Of the rows with one key only the last."""
    return sql.SQL(
        "INSERT INTO {target} ({names}) SELECT DISTINCT ON ({keys}) {values} FROM {stage} AS staged"
        " WHERE {group} = {number} ORDER BY {keys}, {place} DESC"
    ).format(
        target=table.identifier,
        names=_names([column.name for column in columns]),
        keys=_comma([_value(column) for column in keys]),
        values=_comma([_value(column) for column in columns]),
        stage=_STAGE,
        group=sql.Identifier(GROUP),
        number=sql.Literal(group),
        place=sql.Identifier(PLACE),
    )


def _append(table: Table, columns: Sequence[Column], group: int) -> sql.Composed:
    return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS staged WHERE {} = {}").format(
        table.identifier,
        _names([column.name for column in columns]),
        _comma([_value(column) for column in columns]),
        _STAGE,
        sql.Identifier(GROUP),
        sql.Literal(group),
    )


def _value(column: Column) -> sql.Composable:
    staged = sql.Identifier("staged", column.name)
    return sql.SQL("{}::{}").format(staged, sql.SQL(column.cast)) if column.cast else staged


def _names(names: Sequence[str]) -> sql.Composed:
    return _comma([sql.Identifier(name) for name in names])


def _comma(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
