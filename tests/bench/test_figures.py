import pytest

from tests.bench.figures import Distribution, full_rate_after, median_of, percentile, rate_between, steady_rate


def at_rate(per_second: int, begin: float, seconds: float) -> list[float]:
    return [begin + number / per_second for number in range(round(per_second * seconds))]


@pytest.mark.parametrize(
    ("percent", "value"), [(1, 1.0), (50, 50.0), (50.1, 51.0), (95, 95.0), (99, 99.0), (99.1, 100.0), (100, 100.0)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_percent_do_not_exceed(percent: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


def test_percentiles_of_one_value_are_that_value() -> None:
    assert Distribution.of([3.5]) == Distribution(1, 3.5, 3.5, 3.5, 3.5, (3.5,))


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_what_has_no_percentile_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile(values, percent)


def test_a_distribution_keeps_the_values_as_they_came() -> None:
    spread = Distribution.of([5.0, 1.0, 3.0])
    assert (spread.p50, spread.largest, spread.values) == (3.0, 5.0, (5.0, 1.0, 3.0))


@pytest.mark.parametrize(
    ("values", "median"),
    [
        ([3.0], 3.0),
        ([9.0, 1.0, 3.0], 3.0),
        ([1.0, 3.0], 2.0),
        ([9.0, None, 3.0], 9.0),
        ([None, None, 3.0], None),
        ([3.0, None], None),
    ],
)
def test_a_run_that_never_got_there_counts_as_slower_than_all_others(
    values: list[float | None], median: float | None
) -> None:
    assert median_of(values) == median


def test_a_rate_is_of_the_time_between_first_and_last() -> None:
    assert rate_between(300, "2026-11-23T06:00:00.500Z", "2026-11-23T06:00:03.500Z") == 100


def test_the_steady_rate_is_the_median_of_whole_seconds_after_the_first() -> None:
    ramp, slow, quick = at_rate(5, 0, 1), at_rate(100, 1.5, 1), at_rate(300, 2.5, 2)
    assert steady_rate([*ramp, *slow, *quick, *at_rate(900, 4.5, 1)], until=4.5) == 300


@pytest.mark.parametrize("moments", [[], at_rate(100, 0, 1.9)])
def test_there_is_no_steady_rate_before_a_second_has_passed_after_the_first(moments: list[float]) -> None:
    with pytest.raises(ValueError, match="too short"):
        steady_rate(moments, until=1.9)


def test_full_rate_is_reached_with_the_first_second_in_which_enough_happens() -> None:
    before, probe, trickle = at_rate(500, 0, 5), [12.0], at_rate(40, 13, 2)
    again = at_rate(100, 15, 3)
    reached = full_rate_after([*before, *probe, *trickle, *again], since=10, per_second=90)
    assert reached == pytest.approx(4.825)  # the second from there has 7 of the trickle and 83 of the rest


def test_what_came_before_the_moment_asked_about_is_no_full_rate() -> None:
    assert full_rate_after(at_rate(500, 0, 5), since=4.9, per_second=51) is None


def test_a_rate_that_is_not_reached_again_has_no_moment() -> None:
    assert full_rate_after(at_rate(50, 10, 5), since=10, per_second=90) is None
