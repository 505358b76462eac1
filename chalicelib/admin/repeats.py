"""What is posted twice, by a double click or a reload, is done once."""

import hashlib
import json
from http import HTTPStatus

from chalicelib.api.problems import HttpError
from chalicelib.domain.identity import ULID

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of ULIDs
_TIME = 10  # characters of a ULID that tell when it was made
_CHANCE = 16


def id_for(key: str, *content: object) -> str:
    """Make the id of what a form creates: the same for the same form with the same content, and for no other.

    Args:
        key: an id that was made for the form when it was shown.
        content: what was filled in.

    Raises:
        HttpError: the key is none.
    """
    if not ULID.fullmatch(key):
        raise HttpError(HTTPStatus.BAD_REQUEST, "this form is not complete; go back, reload and try again")
    digest = hashlib.sha256(json.dumps([key, *content]).encode()).digest()
    return key[:_TIME] + "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:_CHANCE])
