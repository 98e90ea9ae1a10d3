"""The one place that decides who may call what. Nobody may, unless something here says so."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from ipaddress import ip_address

from mainstem.errors import NOT_ALLOWED, RequestRefused
from mainstem.gateway.route import Access
from mainstem.project.gateway import ApiKey, GatewaySettings

ANYBODY = "local"
"""The caller's name where no key is needed."""
BEARER = "bearer "


class AccessRules:
    """Decides by the settings' API keys.

    Without keys a gateway on loopback takes every caller of this machine, and one that can be reached from elsewhere
    nobody but the webhooks, which are signed.
    """

    def __init__(self, settings: GatewaySettings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._keys = settings.api_keys
        self._now = now
        self.needs_key = bool(settings.api_keys) or not is_loopback(settings.host)

    def caller(self, access: Access, headers: Mapping[str, str], topic: str | None = None) -> str | None:
        """Who calls; None where nobody is asked. Raises RequestRefused: 401 no valid key, 403 not for this topic."""
        if access in (Access.OPEN, Access.SIGNED):
            return None
        if not self.needs_key:
            return ANYBODY
        key = self._known(headers)
        if key is None:
            raise RequestRefused("a valid API key is needed", status=401, code=NOT_ALLOWED)
        if access is Access.TOPIC and not any(fnmatchcase(topic or "", glob) for glob in key.topics):
            raise RequestRefused("the API key does not allow this topic", status=403, code=NOT_ALLOWED)
        return key.name

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether the caller may see details of what it may see anyway."""
        return not self.needs_key or self._known(headers) is not None

    def _known(self, headers: Mapping[str, str]) -> ApiKey | None:
        given = _given(headers)
        if given is None:
            return None
        digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for key in self._keys:  # all of them, always: the time taken tells nothing about which one is near
            if hmac.compare_digest(key.sha256, digest):
                found = key
        if found is None or (found.expires is not None and found.expires <= self._now()):
            return None
        return found


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _given(headers: Mapping[str, str]) -> str | None:
    authorization = headers.get("Authorization", "")
    if authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].strip() or None
    return headers.get("X-API-Key") or None
