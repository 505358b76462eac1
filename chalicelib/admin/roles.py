"""Who may do what on the pages: roles, as the issuer's claims name them."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """A role; each may do what those before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    """Creates, and changes drafts, clients and suppressions."""
    SENDER = "sender"
    """Starts, changes, pauses, resumes, retries and cancels mailings."""
    ADMIN = "admin"
    """Redrives dead letters, reads the audit trail."""

    def may(self, needed: "Role") -> bool:
        """Tell whether this role includes another."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = list(Role)


def highest_role(claims: Mapping[str, Any], claim: str) -> Role | None:
    """Read the highest role out of an id token's claims; None if there is none that is ours.

    Args:
        claims: of the id token.
        claim: the name of the claim with the roles, a list or a text separated by spaces; Auth0 wants it to be an
            address, such as `https://vestnik.example/roles`; a nested one is named by dots, such as Keycloak's
            `realm_access.roles`.
    """
    found: object = claims.get(claim)
    if found is None:
        found = claims
        for name in claim.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
    named: Iterable[object] = found.split() if isinstance(found, str) else found if isinstance(found, list) else ()
    known = [Role(name) for name in named if isinstance(name, str) and name in set(Role)]
    return max(known, key=_ORDER.index, default=None)
