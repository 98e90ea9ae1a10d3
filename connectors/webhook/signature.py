"""Signatures of Standard Webhooks, symmetric scheme (`v1`): HMAC-SHA256 over `{id}.{timestamp}.{body}`.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import NoReturn

from mainstem import RequestRefused, Secret
from mainstem.errors import BAD_SIGNATURE

PREFIX = "whsec_"
SMALLEST_KEY_BYTES = 24
_SCHEME = b"v1,"
# Without a full stop, which would let two different triples have the same signed bytes; without anything unprintable,
# since the id becomes the event's.
_ID = re.compile(r"[!-\-/-~]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,12}")


def read_key(secret: Secret) -> bytes:
    """The key's bytes: base64, with or without `whsec_`. Raises ValueError, which never quotes the secret."""
    text = secret.reveal().removeprefix(PREFIX)
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise ValueError(f"a signing secret is base64, with or without {PREFIX} before it") from None
    if len(key) < SMALLEST_KEY_BYTES:
        raise ValueError(f"a signing secret has at least {SMALLEST_KEY_BYTES} bytes")
    return key


class Verifier:
    """Says whether a request was signed with one of the active keys, at about this time."""

    __slots__ = ("_keys", "_tolerance_s")

    def __init__(self, keys: Iterable[bytes], tolerance_s: float) -> None:
        self._keys = tuple(keys)
        self._tolerance_s = tolerance_s

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Verifier holds keys and is not pickled")

    def verify(self, headers: Mapping[str, str], body: bytes, *, now_s: float) -> str:
        """The webhook's id. Raises RequestRefused (401), which does not say which key or signature came close."""
        webhook_id = headers.get("webhook-id", "")
        timestamp = headers.get("webhook-timestamp", "")
        signatures = headers.get("webhook-signature", "")
        if not (signatures and _ID.fullmatch(webhook_id) and _SECONDS.fullmatch(timestamp)):
            raise _refused("webhook-id, webhook-timestamp or webhook-signature is missing or malformed")
        if not self._is_signed(b"%b.%b.%b" % (webhook_id.encode(), timestamp.encode(), body), signatures):
            raise _refused("no signature matches")
        if abs(now_s - int(timestamp)) > self._tolerance_s:
            raise _refused("webhook-timestamp is too far from now")
        return webhook_id

    def _is_signed(self, content: bytes, signatures: str) -> bool:
        # Not hmac.digest: it lets other threads run meanwhile, and getting back costs more than the hash itself.
        expected = [_SCHEME + b64encode(hmac.new(key, content, "sha256").digest()) for key in self._keys]
        # All are compared, always: the time taken tells nothing about which of them matched.
        matches = False
        for given in signatures.encode("utf-8", "surrogateescape").split(b" "):
            for right in expected:
                matches |= hmac.compare_digest(given, right)
        return matches


def _refused(cause: str) -> RequestRefused:
    return RequestRefused(cause, status=401, code=BAD_SIGNATURE)
