from typing import Any

class AvroError(ValueError):
    offset: int
    path: str

class Plan:
    def __new__(cls, nodes: list[tuple[Any, ...]], max_depth: int, max_memory: int) -> Plan: ...
    def decode(self, value: bytes, start: int = 0, /) -> Any: ...
    def encode(self, value: object, before: bytes = b"", /) -> bytes: ...
