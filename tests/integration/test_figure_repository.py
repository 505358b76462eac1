"""What the port `FigureRepository` promises, of the adapter and of its fake."""

from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.adapters.figure_repository import DynamoFigureRepository
from chalicelib.adapters.tables import CounterItem
from chalicelib.domain.answer import Answer, AnswerKind
from chalicelib.domain.figures import DriftCheck, Record, Rest, Watch
from chalicelib.domain.traffic import CALL_SECONDS, FORESEEN, count_answer
from chalicelib.errors import TransientError
from chalicelib.ports import FigureRepository
from tests.aws_errors import answered, error, without_transport_retries
from tests.bench.item_size import item_size
from tests.builders import NOW
from tests.fakes.figures import FakeFigureRepository

SECOND = timedelta(seconds=1)
THROTTLED = error("ProvisionedThroughputExceededException")


@pytest.fixture(params=["dynamodb", "fake"])
def figures(request: pytest.FixtureRequest) -> FigureRepository:
    if request.param == "fake":
        return FakeFigureRepository()
    dynamodb: DynamoDB = request.getfixturevalue("dynamodb")
    return DynamoFigureRepository(dynamodb)


def test_at_first_nothing_is_kept(figures: FigureRepository) -> None:
    assert figures.read() == Record()


def test_counts_are_added_up_and_the_latest_moments_kept(figures: FigureRepository) -> None:
    figures.add(Counter({"answer.busy.503": 2, "call.0.05": 1}), {"send": NOW}, NOW + SECOND)
    figures.add(Counter({"answer.busy.503": 1, "put_off.retry": 4}), {"express": NOW + SECOND})
    assert figures.read() == Record(
        counts=Counter({"answer.busy.503": 3, "call.0.05": 1, "put_off.retry": 4}),
        received={"send": NOW, "express": NOW + SECOND},
        token_expires_at=NOW + SECOND,
    )


def test_moments_alone_can_be_kept(figures: FigureRepository) -> None:
    figures.add(Counter(), {"send": NOW})
    figures.add(Counter(), {"send": NOW + SECOND})
    assert figures.read() == Record(received={"send": NOW + SECOND})


def test_what_minute_and_night_have_seen_is_kept(figures: FigureRepository) -> None:
    watch = Watch(NOW, {"send": NOW - SECOND, "dead.send": NOW}, Counter({"answer.busy.503": 3}))
    drift = DriftCheck(NOW, 7, {"right": 3, "drift": 1})
    rest = Rest(NOW, {"sent": 5, "failed": 0})
    figures.save_watch(Watch(NOW - SECOND))
    figures.save_watch(watch)
    figures.save_drift(drift)
    figures.save_rest(rest)
    assert figures.read() == Record(watch=watch, drift=drift, rest=rest)


def test_what_is_usual_fits_into_one_write_unit(dynamodb: DynamoDB) -> None:
    """All durations, and all answers that the contract knows."""
    figures = DynamoFigureRepository(dynamodb)
    counts: Counter[str] = Counter()
    for bound in CALL_SECONDS:
        counts += count_answer(Answer(AnswerKind.ACCEPTED, status=200, duration_ms=int(bound * 1000)))
    for kind, codes in FORESEEN.items():
        counts.update({f"answer.{kind.value}.{code}": 1_000_000 for code in codes})
    figures.add(counts, {"send": NOW, "express": NOW}, NOW)
    (item,) = dynamodb.client.scan(TableName=CounterItem.Meta.table_name)["Items"]
    assert item_size(item) <= 1024


def test_throttling_passes(dynamodb: DynamoDB) -> None:
    figures = DynamoFigureRepository(dynamodb)
    client = dynamodb.client
    with (
        without_transport_retries(client, "Query"),
        answered(client, "Query", *[THROTTLED] * 9),
        pytest.raises(TransientError),
    ):
        figures.read()
    with without_transport_retries(client, "UpdateItem"), answered(client, "UpdateItem", *[THROTTLED] * 9):
        with pytest.raises(TransientError):
            figures.add(Counter(attempts=1), {})
        with pytest.raises(TransientError):
            figures.save_drift(DriftCheck(NOW, 0, {}))
