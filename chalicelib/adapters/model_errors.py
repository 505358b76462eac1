"""The errors of PynamoDB in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError
from pynamodb.exceptions import PutError, PynamoDBException, UpdateError

from chalicelib.adapters.dynamodb import translated
from chalicelib.errors import StaleError


@contextmanager
def translated_model() -> Iterator[None]:
    """Look behind PynamoDB's errors for what botocore said, and translate that."""
    with translated():
        try:
            yield
        except PynamoDBException as error:
            # PynamoDB wraps twice: its own error, a VerboseClientError (a ClientError), botocore's.
            if error.cause is None:
                raise
            raise error.cause from error


@contextmanager
def stale(message: str) -> Iterator[None]:
    """Make of a condition that failed a `StaleError`, and translate the rest."""
    with translated_model():
        try:
            yield
        except (PutError, UpdateError) as error:
            if _is_refused(error):
                raise StaleError(message) from error
            raise


def _is_refused(error: PutError | UpdateError) -> bool:
    """Tell whether the condition of a write did not hold."""
    cause = error.cause  # PynamoDB's own `cause_response_code` stumbles over a read timeout
    return isinstance(cause, ClientError) and cause.response["Error"]["Code"] == "ConditionalCheckFailedException"
