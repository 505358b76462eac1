"""The errors of PynamoDB in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

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
            if error.cause_response_code == "ConditionalCheckFailedException":
                raise StaleError(message) from error
            raise
