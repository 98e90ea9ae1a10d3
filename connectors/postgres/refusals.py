"""What PostgreSQL answers -> what to do about it. Never with a value of the row: those may be personal data.

PostgreSQL puts values into DETAIL, into the message of many errors and into what triggers raise: all left out. The
names of constraints, tables, columns and functions are kept. The states are those of
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re

import psycopg
from psycopg import errors as postgres

from mainstem.errors import (
    CREDENTIALS_REFUSED,
    TARGET_NOT_READY,
    TARGET_REFUSES,
    TARGET_UNREACHABLE,
    MainstemError,
    Misconfigured,
    Rejected,
    Retryable,
    Unreachable,
)

STAGE = "mainstem_stage"
"""The temporary table that a batch is copied into."""

MAX_CAUSE_CHARS = 1000

_REFUSES = ("22", "23", "44", "54", "P0")
_RETRY = ("40", "55", "57014")
_DOWN = ("08", "25006", "25P03", "25P04", "53", "57P", "58")
_NAMES_WHAT_IS_MISSING = ("42P01", "42703", "42501", "42P10", "428C9", "3D000", "3F000")
_NO_ENTRY = re.compile(r"authentication failed|no password supplied|role .* does not exist|no pg_hba\.conf entry")
_NO_DATABASE = re.compile(r"database .* does not exist")
_COPY_COLUMN = re.compile(rf"^COPY {STAGE}, line \d+, column (.+)$", re.MULTILINE)
_FUNCTION = re.compile(r"^PL/pgSQL function ([^()]+)\(", re.MULTILINE)


def failure(error: psycopg.Error) -> MainstemError:
    """The failure to raise for an error of psycopg. Raise it outside the handler, so that the original, which may hold
    values, is not chained to it."""
    state = error.sqlstate
    if state is None:
        return _without_state(error)
    if state.startswith(_DOWN) and not _copied_column(error):
        return Unreachable(f"PostgreSQL answers {_condition(error)}", code=TARGET_UNREACHABLE)
    if state.startswith(_RETRY):
        return Retryable(f"PostgreSQL answers {_condition(error)}", code=TARGET_UNREACHABLE)
    if state.startswith("28"):
        return Misconfigured(f"PostgreSQL answers {_condition(error)}", code=CREDENTIALS_REFUSED)
    # A value in the wrong binary form may answer with any state; a state unknown to PostgreSQL is a trigger's own.
    if state.startswith(_REFUSES) or _copied_column(error) or not _is_known(state):
        return Rejected(f"PostgreSQL refuses the record: {_condition(error)}", code=TARGET_REFUSES)
    return Misconfigured(f"PostgreSQL answers {_condition(error)}{_missing(error)}", code=TARGET_NOT_READY)


def _without_state(error: psycopg.Error) -> MainstemError:
    """While connecting, libpq gives text only; a server in another language gives Unreachable, which says the same."""
    said = " ".join(str(error).split())[:MAX_CAUSE_CHARS]
    if _NO_ENTRY.search(said):
        return Misconfigured(said, code=CREDENTIALS_REFUSED)
    if _NO_DATABASE.search(said):
        return Misconfigured(said, code=TARGET_NOT_READY)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Unreachable(said, code=TARGET_UNREACHABLE)
    return Misconfigured(f"psycopg refuses what it is asked to do ({type(error).__name__})")


def _condition(error: psycopg.Error) -> str:
    state = error.sqlstate or ""
    name = postgres.lookup(state).__name__ if _is_known(state) else "a condition of its own"
    facts = [f"{state} {name}"]
    diagnosis = error.diag
    staged = diagnosis.table_name == STAGE
    column = diagnosis.column_name or _copied_column(error)
    raised_by = _FUNCTION.search(diagnosis.context or "")
    facts += [f"constraint {diagnosis.constraint_name}"] if diagnosis.constraint_name else []
    facts += [f"table {diagnosis.table_name}"] if diagnosis.table_name and not staged else []
    facts += [f"column {column}"] if column else []
    facts += [f"raised by {raised_by[1]}()"] if raised_by else []
    return ", ".join(facts)[:MAX_CAUSE_CHARS]


def _copied_column(error: psycopg.Error) -> str | None:
    """In a binary COPY the context names the column and never the value."""
    found = _COPY_COLUMN.search(error.diag.context or "")
    return found[1] if found else None


def _missing(error: psycopg.Error) -> str:
    """What is missing or forbidden: of these states the message names things of the schema, not values of a row."""
    if error.sqlstate not in _NAMES_WHAT_IS_MISSING:
        return ""
    return f": {error.diag.message_primary}"[:MAX_CAUSE_CHARS]


def _is_known(state: str) -> bool:
    try:
        postgres.lookup(state)
    except KeyError:
        return False
    return True
