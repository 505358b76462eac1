"""Sessions: who is logged in, in a cookie that only we can read or write."""

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from http.cookies import CookieError, SimpleCookie
from typing import Any

from chalicelib.admin.roles import Role

LASTS = timedelta(hours=8)
_PROTECTED = {"alg": "dir", "enc": "A256GCM"}
MAX_COOKIE = 4096  # bytes that browsers keep


@dataclass(frozen=True, slots=True)
class Session:
    """A login.

    Attributes:
        subject: the user, by the issuer's name.
        name: what the user is called on the pages.
        expires_at: seconds since 1970.
        csrf: stands in every form; a page of somebody else's cannot know it.
    """

    subject: str
    name: str
    role: Role
    expires_at: int
    csrf: str

    @classmethod
    def begin(cls, subject: str, name: str, role: Role, now: datetime) -> "Session":
        """Make the session of a login that took place just now."""
        return cls(subject, name[:200], role, int((now + LASTS).timestamp()), secrets.token_urlsafe(24))


def seal(what: dict[str, Any], key: bytes) -> str:
    """Encrypt a cookie's content (JWE, direct, A256GCM)."""
    from joserfc import jwe  # noqa: PLC0415 - here, because only the API needs cryptography
    from joserfc.jwk import OctKey  # noqa: PLC0415

    return jwe.encrypt_compact(_PROTECTED, json.dumps(what), OctKey.import_key(key), algorithms=["dir", "A256GCM"])


def unseal(sealed: str, key: bytes) -> dict[str, Any] | None:
    """Decrypt a cookie's content; None if it is not ours."""
    from joserfc import jwe  # noqa: PLC0415 - as above
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import OctKey  # noqa: PLC0415

    if len(sealed) > MAX_COOKIE:
        return None
    try:
        found = jwe.decrypt_compact(sealed, OctKey.import_key(key), algorithms=["dir", "A256GCM"])
        content = json.loads(found.plaintext or b"")
    except (JoseError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def seal_session(session: Session, key: bytes) -> str:
    """Make the content of a session's cookie."""
    return seal({"kind": "session", **asdict(session)}, key)


def read_session(sealed: str, key: bytes, now: datetime) -> Session | None:
    """Read the session of a cookie; None if it is none, or over."""
    content = unseal(sealed, key)
    if content is None or content.pop("kind", None) != "session":
        return None
    session = Session(**content | {"role": Role(content["role"])})
    return session if now.timestamp() < session.expires_at else None


def read_cookies(header: str) -> dict[str, str]:
    """Read a `Cookie` header; one that cannot be read is as good as none."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}
