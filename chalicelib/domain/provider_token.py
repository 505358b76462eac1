"""The provider's token, as far as it says something of itself."""

import base64
import json
from datetime import UTC, datetime


def expires_at(token: str) -> datetime | None:
    """Read when a JWT ends (`exp`, RFC 7519, 4.1.4), unverified: it is shown, nothing is decided by it.

    None if it does not say, or is no JWT.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (IndexError, ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        return None
