"""The statements that bring a staged batch into the target table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import sql

from connectors.postgres.layout import GROUP, PLACE
from connectors.postgres.refusals import STAGE
from connectors.postgres.table import Column, Table

_STAGE = sql.Identifier("pg_temp", STAGE)
_TURNS = 0x6D61696E
"""Sets mainstem's advisory locks on tables apart from an application's own."""


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


def take_turn(table: Table, *, excludes_others: bool) -> sql.Composed:
    """Waits until nobody is in the way, and holds the turn until the transaction ends.

    A replay and a live worker may write the same key at once. Without turns the one could replace what the other has
    just compared, two that insert the same group would meet at its unique key, and locks of rows could cross.
    """
    function = "pg_advisory_xact_lock" if excludes_others else "pg_advisory_xact_lock_shared"
    return sql.SQL("SELECT {}(({}::bigint << 32) | {}::regclass::oid::bigint)").format(
        sql.Identifier(function), sql.Literal(_TURNS), sql.Literal(table.identifier.as_string())
    )


def merges(
    table: Table, columns: Mapping[str, Column], groups: Sequence[Sequence[str]], *, all_differ: bool
) -> list[sql.Composed]:
    """What to run, in order, for the groups of a batch. `all_differ`: no two of its rows have the same key."""
    numbered = [([columns[name] for name in names], number) for number, names in enumerate(groups)]
    version = columns[table.version] if table.version else None
    if table.replace_by:
        by = columns[table.replace_by]
        guard = [_forget_outdated(table, by, version)] if version else []
        return [*guard, _delete(table, by)] + [_insert_latest(table, by, version, *group) for group in numbered]
    if table.key:
        return [_upsert(table, version, *group, all_differ=all_differ) for group in numbered]
    return [_append(table, *group) for group in numbered]


def _forget_outdated(table: Table, by: Column, version: Column) -> sql.Composed:
    """Takes events out of the stage whose group the table holds in a newer version."""
    return sql.SQL(
        "DELETE FROM {stage} AS outdated USING ("
        "SELECT {place} AS at, {by} AS of, max({version}) AS newest FROM {stage} AS staged"
        " GROUP BY {place}, {by}) AS event,"
        " (SELECT {own_by} AS of, max({own_version}) AS newest FROM {target} AS target"
        " WHERE {own_by} IN (SELECT {by} FROM {stage} AS staged) GROUP BY {own_by}) AS held"
        " WHERE outdated.{place} = event.at AND event.of = held.of AND event.newest < held.newest"
    ).format(
        stage=_STAGE,
        target=table.identifier,
        place=sql.Identifier(PLACE),
        by=_value(by),
        version=_value(version),
        own_by=sql.Identifier("target", by.name),
        own_version=sql.Identifier("target", version.name),
    )


def _delete(table: Table, by: Column) -> sql.Composed:
    return sql.SQL("DELETE FROM {} WHERE {} IN (SELECT {} FROM {} AS staged)").format(
        table.identifier, sql.Identifier(by.name), _value(by), _STAGE
    )


def _insert_latest(
    table: Table, by: Column, version: Column | None, columns: Sequence[Column], group: int
) -> sql.Composed:
    """Only the rows of each value's last event, or newest one: what another of the batch wrote is replaced as well."""
    place, of = sql.Identifier(PLACE), _value(by)
    if version is None:
        latest = sql.SQL("SELECT max({}), {} FROM {} AS staged GROUP BY {}").format(place, of, _STAGE, of)
    else:
        latest = sql.SQL("SELECT DISTINCT ON ({0}) {1}, {0} FROM {2} AS staged ORDER BY {0}, {3}").format(
            of, place, _STAGE, _latest_first(version)
        )
    return _append(table, columns, group) + sql.SQL(" AND ({}, {}) IN ({})").format(place, of, latest)


def _upsert(
    table: Table, version: Column | None, columns: Sequence[Column], group: int, *, all_differ: bool
) -> sql.Composed:
    keys = [column for column in columns if column.name in table.key]
    changed = [column.name for column in columns if column.name not in table.key]
    updates = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in changed]
    insert = _append(table, columns, group) if all_differ else _append_last(table, version, columns, keys, group)
    action = sql.SQL("UPDATE SET {}").format(_comma(updates)) if updates else sql.SQL("NOTHING")
    guard = _unless_newer(version) if version else sql.SQL("")
    return insert + sql.SQL(" ON CONFLICT ({}) DO {}{}").format(_names(table.key), action, guard)


def _unless_newer(version: Column) -> sql.Composed:
    """Of a row that another transaction is just changing PostgreSQL waits for the outcome, and compares that."""
    return sql.SQL(" WHERE target.{0} IS NULL OR target.{0} <= excluded.{0}").format(sql.Identifier(version.name))


def _append_last(
    table: Table, version: Column | None, columns: Sequence[Column], keys: Sequence[Column], group: int
) -> sql.Composed:
    """Of the rows with one key only the last, or the newest."""
    return sql.SQL(
        "INSERT INTO {target} AS target ({names}) SELECT DISTINCT ON ({keys}) {values} FROM {stage} AS staged"
        " WHERE {group} = {number} ORDER BY {keys}, {latest}"
    ).format(
        target=table.identifier,
        names=_names([column.name for column in columns]),
        keys=_comma([_value(column) for column in keys]),
        values=_comma([_value(column) for column in columns]),
        stage=_STAGE,
        group=sql.Identifier(GROUP),
        number=sql.Literal(group),
        latest=_latest_first(version),
    )


def _append(table: Table, columns: Sequence[Column], group: int) -> sql.Composed:
    return sql.SQL("INSERT INTO {} AS target ({}) SELECT {} FROM {} AS staged WHERE {} = {}").format(
        table.identifier,
        _names([column.name for column in columns]),
        _comma([_value(column) for column in columns]),
        _STAGE,
        sql.Identifier(GROUP),
        sql.Literal(group),
    )


def _latest_first(version: Column | None) -> sql.Composed:
    place = sql.SQL("{} DESC").format(sql.Identifier(PLACE))
    return _comma([sql.SQL("{} DESC").format(_value(version)), place]) if version else sql.Composed([place])


def _value(column: Column) -> sql.Composable:
    staged = sql.Identifier("staged", column.name)
    return sql.SQL("{}::{}").format(staged, sql.SQL(column.cast)) if column.cast else staged


def _names(names: Sequence[str]) -> sql.Composed:
    return _comma([sql.Identifier(name) for name in names])


def _comma(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
