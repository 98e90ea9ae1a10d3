"""What can go wrong, and what to do about it.

    MainstemError                     a code, a cause and a fix, one line each
    +-- Retryable                     wait, then do the same again
    |   +-- Unreachable               a dependency (Kafka, registry, database) does not answer
    +-- Rejected                      this record can never be delivered as it is: dead-letter it
    |   +-- RequestRefused            ... and it came over HTTP: answer with this status
    +-- Misconfigured                 a person has to change something: pause and say so
    |   +-- Refused                   a safety guard said no
    +-- Fenced                        somebody else owns the work now: stop and leave

Authors of connectors raise the first three. Anything else that escapes a connector is a bug: the runtime pauses, keeps
the record and shows the traceback once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

_CATALOGUE: dict[str, Code] = {}


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of failure: a stable number, what it means, and what usually mends it."""

    number: str
    title: str
    fix: str


def code(number: str, title: str, fix: str) -> Code:
    """Enters a kind of failure into the catalogue; a number is given once and never reused."""
    if number in _CATALOGUE:
        raise ValueError(f"{number} is taken by {_CATALOGUE[number].title!r}")
    _CATALOGUE[number] = made = Code(number, title, fix)
    return made


def catalogue() -> list[Code]:
    """All kinds of failure in the order of their numbers; docs/errors.md is made from it."""
    return [_CATALOGUE[number] for number in sorted(_CATALOGUE)]


# 1xx: the record
RECORD_REJECTED = code(
    "MS-100", "The record cannot be delivered as it is", "edit the record or mend the target, then redrive it"
)
NOT_AVRO = code(
    "MS-101",
    "The message is not Avro in the Confluent wire format",
    "find the producer that wrote it; it must write 0x00, a 4-byte schema id and Avro",
)
FOREIGN_SCHEMA = code(
    "MS-102",
    "The message names a schema that is not registered under the topic's subject",
    "register the schema under the topic's subject, or mend the producer",
)
BAD_PAYLOAD = code(
    "MS-103", "The message does not decode with the schema that it names", "mend the producer that wrote it"
)
SCHEMA_REFUSES = code(
    "MS-104", "The event does not fit the topic's schema", "send the named field with the expected type"
)
TARGET_REFUSES = code(
    "MS-105", "The target refuses the record", "mend the record or the target's rules, then redrive it"
)
MAPPING_FAILED = code(
    "MS-106",
    "The mapping or stream function rejects the record",
    "mend the function or the record, then redrive",
)
PARKED_BEHIND = code(
    "MS-107",
    "An earlier record of the same key waits in the dead-letter topic",
    "redrive the key; its records are delivered in order",
)
RETRIES_EXHAUSTED = code(
    "MS-108", "All attempts to deliver the record failed", "see the last attempt's message, then redrive it"
)
TOO_LARGE = code("MS-109", "The message is larger than the limit", "send a smaller event or raise the limit")

# 2xx: the project's files and the target's set-up
MISCONFIGURED = code("MS-200", "Something is set up wrongly", "change what the message names")
BAD_PROJECT = code("MS-201", "A project file is not valid", "correct the named file at the named line")
UNKNOWN_CONNECTOR = code(
    "MS-202", "No connector has that name", "correct the name, or add connectors/<name>/ to the project"
)
MISSING_SECRET = code(
    "MS-203",
    "A secret that the configuration refers to is not set",
    "set MAINSTEM_SECRET_<NAME> or write the file of that name in the secrets folder",
)
TARGET_NOT_READY = code("MS-204", "The target is not set up", "create what the message names, or correct the name")
CREDENTIALS_REFUSED = code("MS-205", "The target refuses the credentials", "correct the secret and its rights")
TOPIC_MISSING = code("MS-206", "A topic does not exist", "run `mainstem apply --execute`")
SCHEMA_NOT_REGISTERED = code("MS-207", "The project's schema is not registered", "run `mainstem apply --execute`")
INCOMPATIBLE_SCHEMA = code(
    "MS-208",
    "The schema cannot read what is already in the topic",
    "keep the change backward compatible or start a new major version of the topic",
)
UNSAFE_SCHEMA = code(
    "MS-209",
    "The schema could crash a decoder",
    "take recursion and arrays of empty items out of the schema",
)
MISSING_EXTRA = code("MS-210", "An optional part of mainstem is not installed", "pip install what the message names")
OFFSETS_GONE = code(
    "MS-211",
    "The topic no longer holds the records that were to be read next",
    "accept the gap by setting the sink's row in mainstem_offsets, or the group's offset, behind it",
)
FUNCTION_FAILED = code(
    "MS-212", "A function or connector failed with an unexpected error", "mend the code; nothing was lost"
)
STACK_NOT_RUNNING = code(
    "MS-213",
    "The project refers to its development stack, which is not running",
    "start it with `mainstem dev`, or set the value itself",
)
PARKED_TOO_MANY = code(
    "MS-214",
    "A sink has as many parked keys as it may have",
    "redrive or drop what waits, or raise delivery.max_parked_keys; it goes on by itself when there are fewer",
)

# 3xx: dependencies
UNREACHABLE = code("MS-300", "A dependency does not answer", "start it or correct its address")
KAFKA_UNREACHABLE = code("MS-301", "Kafka does not answer", "start it (`mainstem dev`) or correct kafka.bootstrap")
REGISTRY_UNREACHABLE = code(
    "MS-302", "The schema registry does not answer", "start it (`mainstem dev`) or correct registry.url"
)
TARGET_UNREACHABLE = code(
    "MS-303", "The target does not answer", "start it or correct its address; delivery goes on by itself"
)
STACK_FAILED = code("MS-304", "The development stack did not start", "read the named log file")
DOWNLOAD_FAILED = code(
    "MS-305",
    "A part of the development stack could not be downloaded",
    "check the network; behind a company's TLS proxy set SSL_CERT_FILE or REQUESTS_CA_BUNDLE",
)
PROCESS_ENDED = code("MS-306", "The process of a stream ended", "nothing to do; it is started again and loses nothing")

# 4xx: guards and ownership
REFUSED = code("MS-400", "A safety guard refused", "read the message; nothing was changed")
FENCED = code("MS-401", "Another worker owns this work now", "nothing to do; this worker has left it")
PLAN_CHANGED = code("MS-402", "The plan no longer holds", "make a new plan and run that")
REQUEST_REFUSED = code("MS-403", "The request is refused", "correct the request as the message says")
BAD_SIGNATURE = code("MS-404", "The request's signature is not valid", "sign the raw body with the shared secret")
NOT_ALLOWED = code("MS-405", "The caller may not do this", "use an API key that is allowed to")


class MainstemError(Exception):
    """A failure that a person can act on: `code` (stable), `cause` and `fix` (one line each)."""

    default: Code = MISCONFIGURED

    def __init__(self, cause: str, *, code: Code | None = None, fix: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.code = code or self.default
        self.fix = fix or self.code.fix

    def __str__(self) -> str:
        return f"{self.code.number} {self.cause} (fix: {self.fix})"


class Retryable(MainstemError):
    """Wait and send again: not the record's fault. `after_s` is the target's own wish, in seconds."""

    default = UNREACHABLE

    def __init__(
        self, cause: str, *, after_s: float | None = None, code: Code | None = None, fix: str | None = None
    ) -> None:
        super().__init__(cause, code=code, fix=fix)
        self.after_s = after_s


class Unreachable(Retryable):
    """A dependency does not answer at all. Consumes no attempt of any record."""


class Rejected(MainstemError):
    """This record can never be delivered as it is; the others are not to blame."""

    default = RECORD_REJECTED


class RequestRefused(Rejected):
    """A request that is answered with `status` and, for each wrong field, its path and what was expected."""

    default = REQUEST_REFUSED

    def __init__(
        self,
        cause: str,
        *,
        status: int,
        code: Code | None = None,
        fix: str | None = None,
        fields: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(cause, code=code, fix=fix)
        self.status = status
        self.fields = tuple(fields)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its path (`lines[3].quantity`) and what was expected there. Never the value itself."""

    field: str
    expected: str


class Misconfigured(MainstemError):
    """A person has to change something (a password, a table). Pauses the work; no record is given up for it."""

    default = MISCONFIGURED


class Refused(Misconfigured):
    """A safety guard said no; nothing was changed."""

    default = REFUSED


class Fenced(MainstemError):
    """Somebody else owns the work. The one who gets this stops and leaves; it never tries to win it back.

    `partitions` names the work where only a part of it is gone; empty means all of it.
    """

    default = FENCED

    def __init__(
        self,
        cause: str,
        *,
        code: Code | None = None,
        fix: str | None = None,
        partitions: Collection[tuple[str, int]] = (),
    ) -> None:
        super().__init__(cause, code=code, fix=fix)
        self.partitions = frozenset(partitions)
