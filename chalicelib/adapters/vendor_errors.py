"""What AWS clients raise, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import TransientError


@contextmanager
def translated() -> Iterator[None]:
    """Raise `TransientError` for whatever a boto3 client raises in this block."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise TransientError(str(error)) from error
