"""What the port `ClaimRepository` promises, of the adapter and of its fake."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.adapters.claim_repository import PREFIX, DynamoClaimRepository
from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.adapters.tables import ControlItem, bind
from chalicelib.domain.claim import DISSOLVED, Claim
from chalicelib.errors import TransientError
from tests.aws_errors import answered, first_answer_lost
from tests.builders import NOW
from tests.emulator import running_emulator
from tests.fakes.claims import FakeClaimRepository
from tests.tables import clear_tables, create_tables

MINE = Claim("me", NOW + timedelta(seconds=30))
THEIRS = Claim("they", NOW + timedelta(seconds=20))
EXPIRY = NOW + timedelta(hours=1)
Repository = DynamoClaimRepository | FakeClaimRepository


@pytest.fixture(scope="module")
def emulated() -> Iterator[DynamoDB]:
    """Run the emulator: moto knows no PartiQL insert that says what stood there."""
    with running_emulator():
        create_tables("contract")
        yield DynamoDB()
        bind("unbound")


@pytest.fixture
def stored(emulated: DynamoDB) -> Iterator[DynamoClaimRepository]:
    yield DynamoClaimRepository(emulated)
    clear_tables()


@pytest.fixture(params=["dynamodb", "fake"])
def claims(request: pytest.FixtureRequest) -> Repository:
    if request.param == "fake":
        return FakeClaimRepository()
    stored: DynamoClaimRepository = request.getfixturevalue("stored")
    return stored


def test_the_first_claim_stands_for_good(claims: Repository) -> None:
    assert claims.claim(["a", "b"], THEIRS, expires_at=EXPIRY) == {"a": THEIRS, "b": THEIRS}
    assert claims.claim(["c", "b"], MINE, expires_at=EXPIRY) == {"c": MINE, "b": THEIRS}
    assert claims.find(["a", "b", "c", "d"]) == {"a": THEIRS, "b": THEIRS, "c": MINE}


def test_a_dissolved_bundle_is_never_claimed(claims: Repository) -> None:
    claims.claim(["a"], DISSOLVED, expires_at=EXPIRY)
    assert claims.claim(["a"], MINE, expires_at=EXPIRY) == {"a": DISSOLVED}


def test_more_bundles_than_a_batch_holds_are_claimed(claims: Repository) -> None:
    bundles = [f"b{number}" for number in range(120)]
    claims.claim(bundles[::2], THEIRS, expires_at=EXPIRY)
    standing = claims.claim(bundles, MINE, expires_at=EXPIRY)
    assert [standing[bundle] for bundle in bundles] == [THEIRS, MINE] * 60
    assert claims.find(bundles) == standing


def test_nothing_is_asked_about_no_bundles(claims: Repository) -> None:
    assert claims.find([]) == {}


def test_a_claim_whose_answer_was_lost_is_ours(stored: DynamoClaimRepository) -> None:
    with first_answer_lost(stored._dynamodb.client, "BatchExecuteStatement"):
        assert stored.claim(["a"], MINE, expires_at=EXPIRY) == {"a": MINE}


def test_a_claim_ages_out(stored: DynamoClaimRepository) -> None:
    stored.claim(["a"], MINE, expires_at=EXPIRY)
    assert ControlItem.get(f"{PREFIX}#a").expires_at == EXPIRY


def test_a_claim_that_is_gone_when_it_is_looked_at_is_a_passing_error(stored: DynamoClaimRepository) -> None:
    there = {"Responses": [{"Error": {"Code": "DuplicateItem", "Message": "injected"}, "TableName": "any"}]}
    with (
        answered(stored._dynamodb.client, "BatchExecuteStatement", (200, there)),
        pytest.raises(TransientError, match="1 claims"),
    ):
        stored.claim(["a"], MINE, expires_at=EXPIRY)
