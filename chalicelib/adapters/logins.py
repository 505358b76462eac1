"""Logins at the issuer: authorization code with PKCE (OpenID Connect Core 1.0, section 3.1; RFC 7636)."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:  # they bring cryptography along, which only the API needs
    from chalicelib.adapters.id_tokens import IdTokens
    from chalicelib.adapters.issuer import Issuer
    from chalicelib.adapters.secrets import Token

SCOPE = "openid profile email"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What only the browser that began a login brings back.

    Attributes:
        state: ties the issuer's answer to this browser.
        nonce: ties the id token to this login.
        verifier: ties the code to this login.
    """

    state: str
    nonce: str
    verifier: str

    @classmethod
    def begin(cls) -> "Attempt":
        """Make one that nobody can guess."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        """The verifier's hash, as S256 has it."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")


class Logins:
    """The way to the issuer and back.

    Args:
        issuer: where users log in.
        id_tokens: tells its id tokens for us from others.
        client_id: who we are to it.
        secret: what proves that; None: we are a public client, and PKCE is all.
    """

    def __init__(self, issuer: "Issuer", id_tokens: "IdTokens", client_id: str, secret: "Token | None") -> None:
        self._issuer = issuer
        self._id_tokens = id_tokens
        self._client_id = client_id
        self._secret = secret

    def begin(self, attempt: Attempt, redirect_uri: str) -> str:
        """Make the address where a browser logs in. Raises `TransientError`: the issuer does not answer."""
        return _with_query(
            self._issuer.endpoints().authorization,
            {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": redirect_uri,
                "scope": SCOPE,
                "state": attempt.state,
                "nonce": attempt.nonce,
                "code_challenge": attempt.challenge,
                "code_challenge_method": "S256",
            },
        )

    def finish(self, attempt: Attempt, code: str, redirect_uri: str) -> dict[str, Any]:
        """Make of a code the claims of who has logged in.

        Raises:
            RefusedTokenError: the code, or the id token that it brings, is not good here.
            TransientError: the issuer does not answer.
        """
        fields = {"code": code, "redirect_uri": redirect_uri, "code_verifier": attempt.verifier}
        secret = self._secret.current() if self._secret else None
        return self._id_tokens.verify(self._issuer.id_token(fields, self._client_id, secret), attempt.nonce)

    def end(self, back: str) -> str | None:
        """Make the address where a login ends (OpenID Connect RP-Initiated Logout 1.0); None: the issuer has none.

        Raises:
            TransientError: the issuer does not answer.
        """
        address = self._issuer.endpoints().end_session
        if address is None:
            return None
        return _with_query(address, {"client_id": self._client_id, "post_logout_redirect_uri": back})


def _with_query(address: str, query: dict[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"
