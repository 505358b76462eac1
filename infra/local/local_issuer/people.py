"""Who there is: four users, one a role, and two clients."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin, list_to_scope, scope_to_list

from chalicelib.api.scopes import Scope
from chalicelib.config import LOOPBACK_HOSTS

IDENTITY_SCOPES = ("openid", "profile", "email")
_VIEWING = (Scope.CLIENTS_READ, Scope.MAILINGS_READ, Scope.STATS_READ)
_EDITING = (*_VIEWING, Scope.CLIENTS_WRITE, Scope.MAILINGS_WRITE)
_SENDING = (*_EDITING, Scope.MAILINGS_SEND)


@dataclass(frozen=True, slots=True)
class User:
    """A user. The password is the name: whoever reaches this issuer has the machine already."""

    id: str
    name: str
    scopes: tuple[str, ...]

    @property
    def email(self) -> str:
        """An address that no mail reaches (RFC 2606)."""
        return f"{self.id}@vestnik.example"

    @property
    def roles(self) -> tuple[str, ...]:
        """The role, as a claim has it."""
        return (self.id,)

    def get_user_id(self) -> str:
        """Name the user as Authlib asks for it: `sub`."""
        return self.id


USERS = {
    user.id: user
    for user in (
        User("viewer", "Vera Viewer", _VIEWING),
        User("editor", "Egor Editor", _EDITING),
        User("sender", "Svetlana Sender", _SENDING),
        User("admin", "Anton Admin", tuple(Scope)),
    )
}


@dataclass(frozen=True, slots=True)
class Client(ClientMixin):
    """A program that asks for tokens; without a secret it is public, and proves itself by PKCE."""

    id: str
    grant_type: str
    scopes: tuple[str, ...]
    secret: str | None = None

    def get_client_id(self) -> str:
        """Name it."""
        return self.id

    def get_default_redirect_uri(self) -> None:
        """Have none: each request says where it comes from."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """Allow what was asked for of its scopes; all of them, if nothing was."""
        return str(list_to_scope([name for name in scope_to_list(scope) or self.scopes if name in self.scopes]))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Send users back to this machine only."""
        return is_on_this_machine(redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare the secret."""
        return self.secret is not None and secrets.compare_digest(self.secret, client_secret)

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """Have those that have a secret show it."""
        return (method == "none") == (self.secret is None)

    def check_response_type(self, response_type: str) -> bool:
        """Hand out codes, never tokens, by way of the browser."""
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        """Allow the one way that it has."""
        return grant_type == self.grant_type


def clients(development_secret: str) -> dict[str, Client]:
    """List the clients: one for programs, with a secret, and one for pages."""
    return {
        client.id: client
        for client in (
            Client("vestnik-development", "client_credentials", tuple(Scope), development_secret),
            Client("vestnik-pages", "authorization_code", (*IDENTITY_SCOPES, *Scope)),
        )
    }


def is_on_this_machine(url: str) -> bool:
    """Tell whether an address is http on loopback."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS
