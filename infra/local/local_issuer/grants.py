"""The two ways to a token: client credentials, and an authorization code with PKCE; by Authlib."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants, scope_to_list
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from authlib.oidc.core import AuthorizationCodeMixin
from authlib.oidc.core.grants import OpenIDCode

from local_issuer.people import IDENTITY_SCOPES, USERS, Client, User, clients

if TYPE_CHECKING:
    from authlib.oauth2 import OAuth2Request
    from flask import Flask
    from joserfc.jwk import KeySet

    from local_issuer.memory import Memory

CODE_SECONDS = 60
# A program's token is good for as long as a checkout is in use; a user's for an hour, as elsewhere.
LIFETIME_SECONDS = {"client_credentials": 365 * 86_400, "authorization_code": 3600}


@dataclass(frozen=True, slots=True)
class Code(AuthorizationCodeMixin):
    """A code that is on its way through a user's browser."""

    code: str
    client_id: str
    user: User
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    issued_at: int

    def get_redirect_uri(self) -> str:
        """Tell where it was sent."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Tell what it is good for."""
        return self.scope

    def get_nonce(self) -> str | None:
        """Tell what the id token must repeat."""
        return self.nonce

    def get_auth_time(self) -> int:
        """Tell when the user logged in, in seconds since 1970."""
        return self.issued_at


class ClientCredentials(grants.ClientCredentialsGrant):
    """A program asks for itself."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")


class AuthorizationCode(grants.AuthorizationCodeGrant):
    """A user logs in, for a page. Codes are used once."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        """Keep a code, for no more than the user may do."""
        asked, said = scope_to_list(request.payload.scope) or [], request.payload.data
        self.server.codes[code] = Code(
            code,
            request.payload.client_id,
            request.user,
            request.payload.redirect_uri,
            " ".join(name for name in asked if name in IDENTITY_SCOPES or name in request.user.scopes),
            said.get("nonce"),
            said.get("code_challenge"),
            said.get("code_challenge_method"),
            int(time.time()),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """Find a code that this client was given a moment ago."""
        found: Code | None = self.server.codes.get(code)
        if found is None or found.client_id != client.id or found.issued_at + CODE_SECONDS < time.time():
            return None
        return found

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Forget a code that was used."""
        self.server.codes.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code: Code) -> User:
        """Tell whose code it is."""
        return authorization_code.user


class Challenge(CodeChallenge):
    """PKCE, with hashed challenges only."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)


class IdTokens(OpenIDCode):
    """Id tokens: who a user is, and the role."""

    def __init__(self, memory: Memory, issuer: str) -> None:
        super().__init__()
        self._memory = memory
        self._issuer = issuer

    def exists_nonce(self, _nonce: str, _request: OAuth2Request) -> bool:
        """Leave it to pages to know their nonces."""
        return False

    def resolve_client_private_key(self, _client: Client) -> KeySet:
        """Sign with the newest key."""
        return self._memory.signing_key

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        """Say who issues it, for whom."""
        return {"iss": self._issuer, "aud": [client.id]}

    def generate_user_info(self, user: User, _scope: str) -> dict[str, Any]:
        """Say who the user is."""
        return {"sub": user.id, "name": user.name, "email": user.email, "roles": list(user.roles)}


class AccessTokens(JWTBearerTokenGenerator):
    """Access tokens as RFC 9068 has them, for the API."""

    def __init__(self, memory: Memory, issuer: str, audience: str) -> None:
        super().__init__(issuer, expires_generator=lambda _client, grant_type: LIFETIME_SECONDS[grant_type])
        self._memory = memory
        self._audience = audience

    def get_jwks(self) -> KeySet:
        """Sign with the newest key."""
        return self._memory.signing_key

    def get_audiences(self, _client: Client, _user: User | None, _scope: str) -> str:
        """Name the API."""
        return self._audience


class Server(AuthorizationServer):
    """The server behind the addresses. It keeps codes until they are used, and no tokens: each one proves itself."""

    def __init__(self, app: Flask, memory: Memory, issuer: str, audience: str) -> None:
        known = clients(memory.client_secret)
        app.config["OAUTH2_SCOPES_SUPPORTED"] = sorted({scope for client in known.values() for scope in client.scopes})
        super().__init__(app, query_client=known.get, save_token=lambda _token, _request: None)
        self.codes: dict[str, Code] = {}
        self.register_token_generator("default", AccessTokens(memory, issuer, audience))
        self.register_grant(ClientCredentials)
        self.register_grant(AuthorizationCode, [Challenge(required=True), IdTokens(memory, issuer)])


def user_named(name: str | None, password: str | None) -> User | None:
    """Find the user who logs in."""
    return USERS.get(name or "") if name == password else None
