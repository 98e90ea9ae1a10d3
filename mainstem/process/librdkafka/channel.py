"""What an agent reads a topic by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import faust
from faust.exceptions import KeyDecodeError, ValueDecodeError


class Undecodable:
    """Stands for the value of a record that a reader's types do not take, until the reader comes to it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Topic(faust.Topic):
    """As Faust's, but for two things. The names behind its pattern are found for each of its readers anew. And a record
    that cannot be decoded comes to its reader in its turn: Faust takes it for done, throws the error at one reader, and
    gives the record to none of those after it."""

    def _clone_args(self) -> Mapping[str, Any]:
        args: Mapping[str, Any] = super()._clone_args()
        return {**args, "topics": []} if self.pattern else args

    def _compile_decode(self) -> None:
        super()._compile_decode()
        if getattr(self.schema, "takes_batches", False):
            return
        create, decode = cast(Any, self.app).create_event, self.decode

        async def decode_or_mark(message: Any, *, propagate: bool = False) -> Any:
            try:
                return await decode(message, propagate=True)
            except (KeyDecodeError, ValueDecodeError) as error:
                return create(None, Undecodable(error), message.headers, message)

        self.decode = decode_or_mark  # type: ignore[method-assign]
