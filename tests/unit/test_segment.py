from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.segment import Segment, cut
from tests.builders import NOW


@given(st.lists(st.text(), max_size=100).map(tuple), st.integers(1, 32))
def test_each_part_is_in_one_segment_and_none_is_empty(parts: tuple[str, ...], segments: int) -> None:
    shares = cut(parts, segments)
    assert sorted(part for share in shares for part in share) == sorted(parts)
    assert len(shares) == min(segments, len(parts))
    sizes = [len(share) for share in shares]
    assert all(sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_a_segment_is_done_when_nobody_must_look_again() -> None:
    assert Segment("m", "plan#00", ("p",)).done
    assert not Segment("m", "plan#00", ("p",), due_at=NOW).done
