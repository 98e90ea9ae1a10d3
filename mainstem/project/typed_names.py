"""Types of fields that are text of a certain form: what is not of it is refused with the reason."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from mainstem.project import names

_ADDRESS = r"https?://[^\s@]+"
_SHA256 = r"[0-9a-f]{64}"


def _topic(name: str) -> str:
    if problem := names.topic_problem(name):
        raise PydanticCustomError("name", "is not the name of a topic: {problem}", {"problem": problem})
    return name


def _name(name: str) -> str:
    if problem := names.name_problem(name):
        raise PydanticCustomError("name", "is not a name: {problem}", {"problem": problem})
    return name


def _identifier(name: str) -> str:
    if problem := names.identifier_problem(name):
        raise PydanticCustomError("name", "is not a name: {problem}", {"problem": problem})
    return name


def _address(url: str) -> str:
    if not re.fullmatch(_ADDRESS, url):
        raise PydanticCustomError("address", "is not an http:// or https:// address without user and password")
    return url


def _sha256(digits: str) -> str:
    if not re.fullmatch(_SHA256, digits):
        raise PydanticCustomError("sha256", "is not a SHA-256 in 64 hexadecimal digits, lower case")
    return digits


def _pattern(pattern: str) -> Any:
    return Field(json_schema_extra={"pattern": f"^{pattern}$"})


Topic = Annotated[str, AfterValidator(_topic), _pattern(names.TOPIC)]
Name = Annotated[str, AfterValidator(_name), _pattern(names.NAME)]
Identifier = Annotated[str, AfterValidator(_identifier), _pattern(names.IDENTIFIER)]
HttpAddress = Annotated[str, AfterValidator(_address), _pattern(_ADDRESS)]
Sha256 = Annotated[str, AfterValidator(_sha256), _pattern(_SHA256)]
