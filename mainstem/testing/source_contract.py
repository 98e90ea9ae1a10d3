"""What every source must show. Subclass the suite that fits in a test module and say how to make the source:

    class TestFileSource(PullSourceContract):
        @pytest.fixture
        def source(self, tmp_path): ...

The suites need neither pytest nor its rewriting of asserts, so they can be imported wherever mainstem is installed.
"""

# ruff: noqa: S101 - these are tests, shipped for the authors of connectors
from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace

from mainstem.errors import MainstemError, RequestRefused
from mainstem.event import Event
from mainstem.sdk.source import Batch, Position, PushSource, Request, Source

SECRET = "whsec_" + b64encode(b"the secret that is active now").decode()
NEXT_SECRET = "whsec_" + b64encode(b"the secret that replaces that").decode()
FOREIGN_SECRET = "whsec_" + b64encode(b"a secret of somebody else's..").decode()


class PullSourceContract:
    """For a `Source`: give a fixture `source` whose outside system stands still and gives at least three batches."""

    async def test_it_gives_several_batches(self, source: Source) -> None:
        batches = await _read(source, None)
        assert len(batches) >= 3, f"a contract is shown on 3 batches or more, the fixture's source gives {len(batches)}"
        assert all(batch.events for batch in batches), "a batch without events moves a position for nothing"

    async def test_reading_on_from_any_position_gives_exactly_what_is_left(self, source: Source) -> None:
        batches = await _read(source, None)
        everything = _contents(batches)
        done = 0
        for number, batch in enumerate(batches):
            done += len(batch.events)
            rest = _contents(await _read(source, _stored(batch.position)))
            assert rest == everything[done:], f"after batch {number} the source does not give exactly the rest"

    async def test_reading_twice_gives_the_same_events(self, source: Source) -> None:
        first, second = await _read(source, None), await _read(source, None)
        assert _contents(first) == _contents(second), "the same system read twice gives other events or ids"

    async def test_ids_are_unique(self, source: Source) -> None:
        ids = [event.id for batch in await _read(source, None) for event in batch.events]
        assert all(ids), "an event has no id"
        assert len(set(ids)) == len(ids), "two events have the same id"

    async def test_each_batch_moves_the_position(self, source: Source) -> None:
        positions = [json.dumps(_stored(batch.position), sort_keys=True) for batch in await _read(source, None)]
        assert len(set(positions)) == len(positions), "two batches have the same position"

    async def test_reading_can_be_given_up_and_taken_up(self, source: Source) -> None:
        reading = source.read(None)
        first = await anext(reading)
        await reading.aclose()  # type: ignore[attr-defined] # read is an async generator
        rest = await _read(source, _stored(first.position))
        assert _contents([first, *rest]) == _contents(await _read(source, None)), (
            "giving up reading loses or repeats events"
        )

    async def test_an_unknown_setting_is_refused(self, source: Source) -> None:
        _assert_unknown_setting_is_refused(source)

    async def test_the_check_of_a_good_source_passes(self, source: Source) -> None:
        await source.check()


class PushSourceContract(ABC):
    """For a `PushSource` that verifies signatures: say how to make it and how its provider signs."""

    @abstractmethod
    def source(self, *secrets: str) -> PushSource:
        """The source with these active secrets."""

    @abstractmethod
    def request(self, secret: str, *, request_id: str, sent_at_s: float, body: bytes | None = None) -> Request:
        """A request as the provider sends it, signed; a good body unless one is given."""

    @abstractmethod
    def signature_headers(self) -> Sequence[str]:
        """The headers, lower case, of which none may be missing."""

    @abstractmethod
    def id_header(self) -> str:
        """The header that carries the id, lower case."""

    @abstractmethod
    def bodies_of_the_wrong_shape(self) -> Sequence[bytes]:
        """JSON bodies, each wrong in another way."""

    tolerance_s: float = 300.0
    """How old or new a signature may be."""

    def good(self, secret: str = SECRET, *, age_s: float = 0.0, body: bytes | None = None) -> Request:
        """A request that was signed `age_s` ago."""
        return self.request(secret, request_id="msg_1", sent_at_s=time.time() - age_s, body=body)

    async def test_a_good_request_gives_events(self) -> None:
        events = await self.source(SECRET).receive(self.good())
        assert events, "a good request gives no event"
        assert all(event.id and event.data for event in events), "an event has no id or no data"

    async def test_a_repeated_request_gives_the_same_ids(self) -> None:
        source = self.source(SECRET)
        first, again = [await source.receive(self.good(age_s=age_s)) for age_s in (10.0, 0.0)]
        assert [e.id for e in first] == [e.id for e in again], "a repeat cannot be told by its ids"

    async def test_another_request_gives_other_ids(self) -> None:
        source = self.source(SECRET)
        other = self.request(SECRET, request_id="msg_2", sent_at_s=time.time())
        first, second = await source.receive(self.good()), await source.receive(other)
        assert not {e.id for e in first} & {e.id for e in second}, "two requests give the same id: one would be dropped"

    async def test_a_foreign_signature_is_refused(self) -> None:
        await self._assert_refused(self.good(FOREIGN_SECRET), 401)

    async def test_a_missing_or_empty_signature_header_is_refused(self) -> None:
        good = self.good()
        for name in self.signature_headers():
            without = {key: value for key, value in good.headers.items() if key != name}
            await self._assert_refused(replace(good, headers=without), 401, f"without {name}")
            await self._assert_refused(replace(good, headers={**good.headers, name: ""}), 401, f"with an empty {name}")

    async def test_nonsense_in_a_signature_header_is_refused(self) -> None:
        good = self.good()
        for name in self.signature_headers():
            for nonsense in ("x", "v1,", ",", " ", "-1", "1e3", "\u0661", "\udcff", "v1," + "A" * 5000):
                request = replace(good, headers={**good.headers, name: nonsense})
                await self._assert_refused(request, 401, f"with {nonsense[:10]!a} as {name}")

    async def test_an_old_signature_is_refused(self) -> None:
        await self.source(SECRET).receive(self.good(age_s=self.tolerance_s - 60))
        await self._assert_refused(self.good(age_s=self.tolerance_s + 60), 401)

    async def test_a_signature_from_the_future_is_refused(self) -> None:
        await self.source(SECRET).receive(self.good(age_s=60 - self.tolerance_s))
        await self._assert_refused(self.good(age_s=-self.tolerance_s - 60), 401)

    async def test_a_signature_replayed_under_another_id_is_refused(self) -> None:
        good = self.good()
        await self._assert_refused(replace(good, headers={**good.headers, self.id_header(): "msg_2"}), 401)

    async def test_a_tampered_body_is_refused(self) -> None:
        good = self.good()
        for body in (good.body + b" ", good.body[:-1], b"", b"not JSON"):
            await self._assert_refused(replace(good, body=body), 401, "with another body")

    async def test_both_secrets_count_while_one_replaces_the_other(self) -> None:
        rotating = self.source(SECRET, NEXT_SECRET)
        for secret in (SECRET, NEXT_SECRET):
            assert await rotating.receive(self.good(secret)), "one of two active secrets does not count"
        await self._assert_refused(self.good(FOREIGN_SECRET), 401, source=rotating)
        await self._assert_refused(self.good(SECRET), 401, source=self.source(NEXT_SECRET))

    async def test_a_body_that_is_not_json_is_refused(self) -> None:
        for body in (b"", b"not JSON", b'{"type":', b'{"a": NaN}'):
            await self._assert_refused(self.good(body=body), 400, f"with {body!r}")

    async def test_json_of_the_wrong_shape_is_refused_with_the_field_named(self) -> None:
        for body in self.bodies_of_the_wrong_shape():
            refusal = await self._assert_refused(self.good(body=body), 422, f"with {body!r}")
            assert refusal.fields, f"the refusal of {body!r} names no field"

    async def test_no_refusal_shows_a_secret(self) -> None:
        for request in (self.good(FOREIGN_SECRET), self.good(age_s=9999), self.good(body=b"[]")):
            refusal = await self._assert_refused(request)
            for shown in (SECRET, FOREIGN_SECRET, SECRET.removeprefix("whsec_")):
                assert shown not in f"{refusal} {refusal!r} {refusal.fields}", "a refusal shows a secret"
        assert SECRET not in repr(self.source(SECRET)), "the source's repr shows a secret"

    async def test_an_unknown_setting_is_refused(self) -> None:
        _assert_unknown_setting_is_refused(self.source(SECRET))

    async def _assert_refused(
        self, request: Request, status: int | None = None, how: str = "", *, source: PushSource | None = None
    ) -> RequestRefused:
        try:
            await (source or self.source(SECRET)).receive(request)
        except RequestRefused as refusal:
            assert status in {None, refusal.status}, f"{how} it answers {refusal.status} instead of {status}"
            return refusal
        raise AssertionError(f"the request {how} is taken")


async def _read(source: Source, after: Position | None) -> list[Batch]:
    return [batch async for batch in source.read(after)]


def _stored(position: Position) -> Position:
    """The position as it comes back from its topic: JSON values."""
    stored: Position = json.loads(json.dumps(dict(position)))
    assert stored == position, "the position is not made of JSON values"
    return stored


def _contents(batches: Sequence[Batch]) -> list[tuple[object, ...]]:
    return [_content(event) for batch in batches for event in batch.events]


def _content(event: Event) -> tuple[object, ...]:
    try:
        data: object = event.payload
    except MainstemError as error:
        data = error.cause
    return event.id, event.key, event.time, event.subject, data


def _assert_unknown_setting_is_refused(source: Source | PushSource) -> None:
    settings = {name: getattr(source, name) for name in type(source).model_fields}
    type(source).model_validate(settings)
    try:
        type(source).model_validate({**settings, "no_such_setting": 1})
    except ValueError as error:
        assert "no_such_setting" in str(error), "the refusal does not name the unknown setting"
        return
    raise AssertionError("an unknown setting is taken")
