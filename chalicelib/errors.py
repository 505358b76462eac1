"""What can go wrong, as one family: adapters translate vendor errors into these, the API into problems."""

from dataclasses import dataclass


class ServiceError(Exception):
    """The base of every error that Vestnik raises on purpose."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One refused field: its dotted path (`filter.tags.0`) and what is wrong with it."""

    field: str
    message: str


class ValidationError(ServiceError):
    """The input is wrong; `errors` names each field. HTTP 422."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors


class NotFoundError(ServiceError):
    """There is no such thing. HTTP 404."""


class ConflictError(ServiceError):
    """The present state does not allow it, or somebody else was first. HTTP 409."""


class RefusedTokenError(ServiceError):
    """The access token is not good here; the message says why and quotes nothing of it. HTTP 401."""


class StaleError(ConflictError):
    """The thing has changed since it was read: read it again, and what was meant may still be possible."""


class InProgressError(ConflictError):
    """The same request is being answered at this moment."""


class ReusedKeyError(ConflictError):
    """The idempotency key belongs to another request."""


class TransientError(ServiceError):
    """A dependency failed in a way that passes; the same call may work later. HTTP 503; over SQS: retry."""


class PermanentError(ServiceError):
    """Repeating changes nothing. Over SQS: dead letter, with this as its cause."""


class RefusedMailError(PermanentError):
    """An e-mail was not taken; the message is the mail service's own."""


class ConfigurationError(ServiceError):
    """Settings do not parse; the message names every wrong variable."""
