"""Cursors: where the next page of a list begins, for the list that it was made for and no other.

A cursor is the position of the last item, signed with a key that is derived from the stack's own. So one that was
made up, cut off or taken from another list (or from the same one with other filters) is refused, and no reader
of positions needs to expect anything strange. A changed key makes cursors invalid: a reader starts again.
"""

import base64
import binascii
import hashlib
import hmac

from chalicelib.errors import FieldError, ValidationError

_TAG_BYTES = 16


def seal(position: str, scope: str, secret: str) -> str:
    """Make the cursor of a position in the list that `scope` names."""
    raw = position.encode()
    return base64.urlsafe_b64encode(_tag(raw, scope, secret) + raw).decode().rstrip("=")


def unseal(cursor: str, scope: str, secret: str) -> str:
    """Read the position out of a cursor of the list that `scope` names.

    Raises:
        ValidationError: it is none, or one of another list.
    """
    try:
        signed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused() from error
    tag, raw = signed[:_TAG_BYTES], signed[_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(raw, scope, secret)) or seal(raw.decode(), scope, secret) != cursor:
        raise _refused()
    return raw.decode()


def _tag(raw: bytes, scope: str, secret: str) -> bytes:
    key = hmac.digest(secret.encode(), b"vestnik cursor", hashlib.sha256)
    return hmac.digest(key, hashlib.sha256(scope.encode()).digest() + raw, hashlib.sha256)[:_TAG_BYTES]


def _refused() -> ValidationError:
    return ValidationError(FieldError("cursor", "is not a cursor of this list"))
