"""A request's body within its limits of size and time, checked while it arrives."""

from __future__ import annotations

import asyncio

from aiohttp.web import BaseRequest, RequestPayloadError

from mainstem.errors import TOO_LARGE, RequestRefused


async def read_body(request: BaseRequest, *, max_bytes: int, within_s: float) -> bytes:
    """The raw bytes as they were sent. Raises RequestRefused: 413 too large, 408 too slow, 400 broken off."""
    content = request.content
    if content.is_eof() and content.exception() is None:  # most bodies come in one packet with their headers
        return _within(content.read_nowait(), max_bytes)
    if request.content_length is not None and request.content_length > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(within_s):
            return await _collect(request, max_bytes)
    except TimeoutError:
        raise RequestRefused(f"the body did not arrive within {within_s:g} s", status=408) from None
    except (RequestPayloadError, ConnectionError):
        raise RequestRefused("the body is malformed or was broken off", status=400) from None


async def _collect(request: BaseRequest, max_bytes: int) -> bytes:
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def _within(body: bytes, max_bytes: int) -> bytes:
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def _too_large(max_bytes: int) -> RequestRefused:
    return RequestRefused(f"the body is larger than {max_bytes:,} bytes", status=413, code=TOO_LARGE)
