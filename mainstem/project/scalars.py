"""Scalars of the core schema of YAML 1.2 (section 10.3), bounded: `on` and `yes` are text, numbers are finite."""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


def plain(text: str) -> Scalar:
    """What an unquoted scalar means. Raises ValueError for a number without end or beyond 64 bits."""
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("not a finite number")
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise ValueError("not a finite number")
        return number
    return text


def tagged(text: str, kind: str) -> Scalar:
    """What a scalar with a core tag (`int`, `float`, `bool`, `null`) means. Raises ValueError where it is not one."""
    value = plain(text)
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    kinds = {"int": int, "float": float, "bool": bool, "null": type(None)}
    if type(value) is not kinds[kind]:
        raise ValueError(f"not a value of the type {kind}")
    return value


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    digits = text if base == 10 else text[2:]
    if len(digits) > 20 or abs(number := int(digits, base)) > 2**63:
        raise ValueError("the number does not fit into 64 bits")
    return number
