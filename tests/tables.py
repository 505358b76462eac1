"""The tables of the models, on whatever AWS is being played."""

import boto3
from pynamodb.models import Model

from chalicelib.adapters.tables import TABLES, bind


def create_tables(prefix: str) -> None:
    """Create all tables of one stack."""
    bind(prefix, boto3.client("dynamodb"))
    for model in TABLES:
        model.create_table(billing_mode="PAY_PER_REQUEST", wait=False)


def clear_tables() -> None:
    """Delete all items."""
    for model in TABLES:
        for item in items_of(model):
            item.delete()


def items_of(model: type[Model]) -> list[Model]:
    """Read a whole table."""
    return list(model.scan(consistent_read=True))
