"""The public keys of an issuer, out of its JWK Set (RFC 7517)."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry, Key

_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}  # by how algorithms begin
_MAX_KEYS = 100


class SigningKeys:
    """Keys that signatures are verified with. Symmetric ones are none of them."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys

    @classmethod
    def of(cls, key_set: Mapping[str, Any]) -> "SigningKeys":
        """Read a JWK Set; keys that are of no use here are passed over (RFC 7517, section 5).

        Raises:
            ValueError: it is none, or has no key that is of use.
        """
        entries = key_set.get("keys")
        if not isinstance(entries, list):
            raise ValueError("it is no JWK Set")  # noqa: TRY004 - wrong content, not a wrong call
        keys = [key for entry in entries[:_MAX_KEYS] if (key := _read(entry)) is not None]
        if not keys:
            raise ValueError("it has no key that signatures could be verified with")
        return cls(keys)

    def find(self, key_id: str | None, algorithm: str) -> Key | None:
        """Find the key of a token: by its id, or the only one that there is of the algorithm's kind."""
        fitting = [
            key
            for key in self._keys
            if key.key_type == _KINDS[algorithm[:2]]
            and key.alg in {None, algorithm}
            and (key_id is None or key.kid == key_id)
        ]
        return fitting[0] if fitting and (key_id is not None or len(fitting) == 1) else None


def _read(entry: object) -> Key | None:
    if not isinstance(entry, dict) or entry.get("kty") not in _KINDS.values() or entry.get("use", "sig") != "sig":
        return None
    if entry["kty"] == "OKP" and entry.get("crv") not in {"Ed25519", "Ed448"}:
        return None  # a key to agree on secrets, which verifies nothing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SecurityWarning)  # RSA below 2048 bits
            return JWKRegistry.import_key(entry)
    except (JoseError, SecurityWarning, ValueError, TypeError, KeyError):
        return None
