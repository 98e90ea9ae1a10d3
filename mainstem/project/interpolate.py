"""References in the project's files: `${VAR:default}`, `${secret:name}`, `${stack:name}`; `$${` is a plain `${`.

Only values are searched, once: what a reference gives is never searched again, so nobody's environment or secret can
refer to another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mainstem.errors import BAD_PROJECT, Misconfigured
from mainstem.project.document import Loc, Region
from mainstem.project.findings import Finding, did_you_mean, error, listed
from mainstem.project.secrets import SecretStore, is_name
from mainstem.project.stack import PLACEHOLDERS, STACK_VALUES, Stack, StackValue
from mainstem.sdk.secret import Secret

_REFERENCE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<body>[^{}]*)(?P<end>\}?)")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_SECRET = re.compile(r"\$\{secret:([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Resolved:
    """Data with its references resolved, and what could not be."""

    value: Any = field(repr=False)
    findings: tuple[Finding, ...]
    pending: frozenset[Loc]
    """Where a placeholder stands for what could not be resolved: shapes there mean nothing."""


@dataclass(frozen=True, slots=True)
class References:
    """Everything that a reference can refer to."""

    environ: Mapping[str, str] = field(repr=False)
    secrets: SecretStore
    stack: Stack

    def resolve(self, data: Any, region: Region, *, as_written: str | None = None) -> Resolved:
        """Resolves all references in the data; what is missing is a finding, and a placeholder is put there.

        What stands under a key named `as_written` stays as it is.
        """
        walk = _Walk(self, region, as_written)
        return Resolved(walk.value(data, ()), tuple(walk.findings), frozenset(walk.pending))


def is_reference(text: str) -> bool:
    """Whether any reference is in the text."""
    return any(not found["escaped"] for found in _REFERENCE.finditer(text))


def is_secret(text: str) -> bool:
    """Whether the text is a reference to a secret and nothing else."""
    return _SECRET.fullmatch(text) is not None


def default_in(text: str) -> str | None:
    """The default of the first variable in the text that has one."""
    for found in _REFERENCE.finditer(text):
        variable, _, default = (found["body"] or "").partition(":")
        if default and _VARIABLE.fullmatch(variable):
            return default
    return None


def secrets_in(data: Any) -> set[str]:
    """The names of all secrets that the data refers to."""
    match data:
        case str():
            return set(_SECRET.findall(data))
        case dict():
            return {name for inner in data.values() for name in secrets_in(inner)}
        case list():
            return {name for inner in data for name in secrets_in(inner)}
        case _:
            return set()


class _Unresolved(Exception):
    """One reference that gives nothing; `instead` keeps the shape."""

    def __init__(self, cause: Misconfigured, instead: Any = "") -> None:
        super().__init__(cause.cause)
        self.cause = cause
        self.instead = instead


def _wrong(message: str, fix: str) -> _Unresolved:
    return _Unresolved(Misconfigured(message, code=BAD_PROJECT, fix=fix))


def _no_reference(opening: str) -> _Unresolved:
    near = did_you_mean(opening.removesuffix(":"), ["secret", "stack"])
    fix = "write `${VARIABLE:default}`, `${secret:name}`, `${stack:name}`, or `$${` for a plain `${`"
    return _wrong(f"a `${{...}}` here is not a reference{near}", fix)  # not quoted: it may be part of a secret


class _Walk:
    def __init__(self, references: References, region: Region, as_written: str | None) -> None:
        self.references = references
        self.region = region
        self.as_written = as_written
        self.findings: list[Finding] = []
        self.pending: set[Loc] = set()

    def value(self, data: Any, loc: Loc) -> Any:
        if loc and loc[-1] == self.as_written:
            return data
        match data:
            case dict():
                return {key: self.value(inner, (*loc, key)) for key, inner in data.items()}
            case list():
                return [self.value(inner, (*loc, number)) for number, inner in enumerate(data)]
            case str() if "${" in data:
                return self._text(data, loc)
            case _:
                return data

    def _text(self, text: str, loc: Loc) -> Any:
        try:
            if whole := _SECRET.fullmatch(text):
                return self._secret(whole[1])
            return _REFERENCE.sub(self._part, text)
        except _Unresolved as missing:
            place = self.region.at(*loc)
            self.findings.append(error(place, missing.cause.cause, fix=missing.cause.fix, code=missing.cause.code))
            self.pending.add(loc)
            return missing.instead

    def _secret(self, name: str) -> Secret:
        if not is_name(name):
            raise _wrong("the name of a secret is lower case with digits and underscores", "correct `${secret:name}`")
        try:
            return self.references.secrets.get(name)
        except Misconfigured as missing:
            raise _Unresolved(missing, Secret("")) from None

    def _part(self, found: re.Match[str]) -> str:
        if found["escaped"]:
            return "${"
        body = found["body"]
        if not found["end"]:
            raise _wrong("`${` without its `}`, or with another reference inside", "write `$${` for a plain `${`")
        kind, colon, rest = body.partition(":")
        if kind == "secret" and colon:
            fix = "put the whole text into the secret, and write only `${secret:name}`"
            raise _wrong(f"`${{secret:{rest}}}` has other text around it", fix)
        if kind == "stack" and colon:
            return self._stack(rest)
        if not _VARIABLE.fullmatch(kind):
            raise _no_reference(kind + colon)
        if (value := self.references.environ.get(kind)) is not None:
            return value
        if not colon:
            raise _wrong(f"the environment variable {kind} is not set", f"set it, or write `${{{kind}:default}}`")
        return rest

    def _stack(self, name: str) -> str:
        known: StackValue | None = next((value for value in STACK_VALUES if value == name), None)
        if known is None:
            near = did_you_mean(name, STACK_VALUES)
            raise _wrong(f"the development stack has no `{name}`{near}", f"it has {listed(STACK_VALUES)}")
        try:
            return self.references.stack.get(known)
        except Misconfigured as missing:
            raise _Unresolved(missing, PLACEHOLDERS[known]) from None
