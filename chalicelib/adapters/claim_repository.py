"""Claims on bundles of rows (port: `ClaimRepository`)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from chalicelib.adapters.codec import ItemCodec
from chalicelib.adapters.dynamodb import MAX_STATEMENTS, DynamoDB, chunks
from chalicelib.adapters.tables import ControlItem
from chalicelib.domain.claim import Claim
from chalicelib.errors import TransientError

PREFIX = "claim"


@dataclass(frozen=True, slots=True)
class _StoredClaim:
    name: str
    owner: str
    claimed_until: datetime
    expires_at: datetime


_CODEC = ItemCodec(ControlItem, _StoredClaim)


class DynamoClaimRepository:
    """An item a bundle in the control table; see the port for what each method promises."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        self._dynamodb = dynamodb
        self._control = ControlItem.Meta.table_name

    def claim(self, bundles: Collection[str], claim: Claim, *, expires_at: datetime) -> Mapping[str, Claim]:
        """Insert what does not exist, and read what does: that may be ours, from a call whose answer was lost."""
        statement = f"INSERT INTO \"{self._control}\" VALUE {{'name':?,'owner':?,'claimed_until':?,'expires_at':?}}"
        values = (("owner", claim.owner), ("claimed_until", claim.until), ("expires_at", expires_at))
        ours, theirs = {}, []
        for chunk in chunks(list(bundles), MAX_STATEMENTS):
            results = self._dynamodb.execute(
                [
                    {
                        "Statement": statement,
                        "Parameters": [_CODEC.value(*pair) for pair in (("name", _name(bundle)), *values)],
                    }
                    for bundle in chunk
                ]
            )
            for bundle, result in zip(chunk, results, strict=True):
                if result is None:
                    ours[bundle] = claim
                else:
                    theirs.append(bundle)
        found = self.find(theirs)
        if missing := set(theirs) - set(found):
            raise TransientError(f"{len(missing)} claims were there and are not any more")
        return {**ours, **found}

    def find(self, bundles: Collection[str]) -> Mapping[str, Claim]:
        """Read claims, consistently: 100 a call."""
        if not bundles:
            return {}
        items = self._dynamodb.get_many(self._control, [{"name": {"S": _name(bundle)}} for bundle in bundles])
        stored = map(_CODEC.decode, items)
        return {each.name.removeprefix(f"{PREFIX}#"): Claim(each.owner, each.claimed_until) for each in stored}


def _name(bundle: str) -> str:
    return f"{PREFIX}#{bundle}"
