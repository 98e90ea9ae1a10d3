"""Signs as a provider does, on its own: it shares no code with the connector that verifies."""

from __future__ import annotations

import base64
import hashlib
import hmac


def sign(secret: str, webhook_id: str, sent_at_s: int, body: bytes) -> dict[str, str]:
    """The three headers of a Standard Webhook, scheme v1. `secret` is base64, perhaps after `whsec_`."""
    key = base64.b64decode(secret.removeprefix("whsec_") + "==")
    content = f"{webhook_id}.{sent_at_s}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(sent_at_s),
        "webhook-signature": f"v1,{signature}",
    }
