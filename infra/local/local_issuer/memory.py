"""What the issuer remembers over a restart, so that tokens outlive it: keys, secrets, its address."""

from __future__ import annotations

import json
import secrets
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from joserfc.jwk import KeySet, RSAKey

from files import write_private

if TYPE_CHECKING:
    from pathlib import Path

KEY_BITS = 2048


class Memory:
    """A file, readable by its owner only. Keys stand in it newest first; the newest one signs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._content: dict[str, Any] = {
            "address": None,
            "audience": None,
            "client_secret": secrets.token_urlsafe(32),
            "session_secret": secrets.token_urlsafe(32),
            "keys": [],
        }
        if file.exists():
            self._content |= json.loads(file.read_text())
        if not self._content["keys"]:
            self.rotate()

    @property
    def port(self) -> int | None:
        """The port where the issuer was last."""
        address = self._content["address"]
        return urlsplit(address).port if address else None

    @property
    def client_secret(self) -> str:
        """What the development client proves itself with."""
        return str(self._content["client_secret"])

    @property
    def session_secret(self) -> str:
        """What cookies of the login page are signed with."""
        return str(self._content["session_secret"])

    @property
    def signing_key(self) -> KeySet:
        """The newest key, as a set of one: joserfc names the key in a token only when it comes from a set."""
        return KeySet([RSAKey.import_key(self._content["keys"][0])])

    @property
    def published(self) -> dict[str, Any]:
        """The public half of all keys, as a JWK Set."""
        return dict(KeySet([RSAKey.import_key(key) for key in self._content["keys"]]).as_dict(private=False))

    def tell(self, address: str, audience: str) -> None:
        """Let those who read the file know where the issuer is, and for whom its tokens are."""
        self._store(address=address, audience=audience)

    def rotate(self) -> None:
        """Sign with a new key; tokens signed with the others are good as long as those are published."""
        key = RSAKey.generate_key(KEY_BITS, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        self._store(keys=[key.as_dict(private=True), *self._content["keys"]])

    def forget_old_keys(self) -> None:
        """Publish the newest key only."""
        self._store(keys=self._content["keys"][:1])

    def _store(self, **changes: object) -> None:
        with self._lock:
            self._content |= changes
            write_private(self._file, json.dumps(self._content, indent=1))
