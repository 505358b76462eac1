"""The ids of the work at hand: what it is about, and the API call that set it going.

Each log line of the work carries them (`observability`), as do the tickets that it queues, its requests to the provider
and its traces. They belong to a thread: work that is handed to another one begins with none.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

CORRELATION_ID = "correlation_id"  # as the Powertools Logger calls it
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")  # what a caller may name a request by

_at_hand: ContextVar[Mapping[str, str | int]] = ContextVar("at_hand", default={})  # noqa: B039 - never changed in place


@contextmanager
def correlated(correlation_id: str | None, **about: str | int) -> Iterator[None]:
    """Do work under an id, and under those of what it is about: `mailing_id`, `message_id`, `client_id`.

    Without an id of its own the work keeps that of the work around it, if there is one.
    """
    own = {CORRELATION_ID: correlation_id} if correlation_id else {}
    token = _at_hand.set({**_at_hand.get(), **own, **about})
    try:
        yield
    finally:
        _at_hand.reset(token)


def ids_at_hand() -> Mapping[str, str | int]:
    """Tell all ids of the work at hand, by name."""
    return _at_hand.get()


def current_correlation_id() -> str | None:
    """Tell which API call set the work at hand going; None: none did, or nobody knows."""
    id_ = _at_hand.get().get(CORRELATION_ID)
    return None if id_ is None else str(id_)
