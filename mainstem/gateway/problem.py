"""Errors as answers: application/problem+json (RFC 9457) with mainstem's stable code and what mends it."""

from __future__ import annotations

from http import HTTPStatus
from math import ceil
from typing import Any

import orjson
from aiohttp.web import Response

from mainstem.errors import FUNCTION_FAILED, TOO_LARGE, MainstemError, Rejected, RequestRefused, Retryable
from mainstem.gateway.route import MethodRefused

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
PAUSED_RETRY_AFTER_S = 30
"""A person has to change something first: asking often does not help."""
CLOSING = (408, 413)
"""After these the rest of the body is still on its way: the connection is of no more use."""


def status_of(error: MainstemError) -> int:
    """The HTTP status: the request's own, 4xx for what can never be taken, 503 for what is to be sent again."""
    if isinstance(error, RequestRefused):
        return error.status
    if isinstance(error, Rejected):
        return 413 if error.code is TOO_LARGE else 422
    return 503


def problem(error: MainstemError) -> Response:
    """The answer to a request that met this error."""
    status = status_of(error)
    headers = {}
    if status == 503:
        headers["Retry-After"] = str(_retry_after_s(error))
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, MethodRefused):
        headers["Allow"] = ", ".join(error.allowed)
    fields = getattr(error, "fields", ())
    extra = {"fields": [{"field": wrong.field, "expected": wrong.expected} for wrong in fields]} if fields else {}
    answer = _response(status, error.cause, error, headers, extra)
    if status in CLOSING:
        answer.force_close()
    return answer


def unexpected(trace_id: str) -> Response:
    """The answer to a request that met a bug: nothing of it but the id under which the log tells more."""
    said = MainstemError("something unexpected happened", code=FUNCTION_FAILED)
    return _response(500, said.cause, said, {}, {"trace_id": trace_id})


def _response(
    status: int, detail: str, error: MainstemError, headers: dict[str, str], extra: dict[str, Any]
) -> Response:
    document = {
        "type": f"urn:mainstem:error:{error.code.number}",
        "title": HTTPStatus(status).phrase if status in {404, 405} else error.code.title,
        "status": status,
        "detail": detail,
        "code": error.code.number,
        "fix": error.fix,
        **extra,
    }
    return Response(status=status, body=orjson.dumps(document), headers={"Content-Type": CONTENT_TYPE, **headers})


def _retry_after_s(error: MainstemError) -> int:
    if not isinstance(error, Retryable):
        return PAUSED_RETRY_AFTER_S
    return RETRY_AFTER_S if error.after_s is None else max(1, ceil(error.after_s))
