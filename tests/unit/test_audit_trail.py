from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.audit import AuditEntry, AuditFilter, differences
from chalicelib.ports import Page
from chalicelib.services.audit_trail import Audit, Deed, changed, did
from tests.builders import NOW, client, mailing, ulid
from tests.fakes.clock import FakeClock

DEED = Deed("ada", "api", "POST /mailings/{mailing_id}/start", None)


class FakeTrail:
    def __init__(self) -> None:
        self.saved: list[AuditEntry] = []

    def save(self, entry: AuditEntry) -> None:
        self.saved.append(entry)

    def page(self, _meant: AuditFilter, _now: datetime, _after: str | None, limit: int) -> Page[AuditEntry]:
        return Page(self.saved[:limit])


def test_an_entry_is_there_before_anything_is_done_and_has_its_outcome_afterwards() -> None:
    trail = FakeTrail()
    audit = Audit(trail, FakeClock(), lambda: ulid(1))
    before = mailing()

    def work() -> str:
        assert [entry.outcome for entry in trail.saved] == [None]
        changed(before.id, before, replace(before, text="Other", version=7))
        return "201"

    assert audit.around(DEED, work, int) == "201"
    _, entry = trail.saved
    assert (entry.id, entry.at, entry.target, entry.outcome) == (ulid(1), NOW, before.id, 201)
    assert list(entry.changes) == ["text"]
    assert audit.page(AuditFilter(), None, 1).items == trail.saved[:1]


def test_whoever_is_killed_leaves_an_entry_without_an_outcome() -> None:
    trail = FakeTrail()

    def work() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Audit(trail, FakeClock(), lambda: ulid(1)).around(DEED, work, int)
    assert [entry.outcome for entry in trail.saved] == [None]


def test_outside_of_an_audited_change_nothing_is_told() -> None:
    changed("x", None, client())  # as the planner does: no one listens
    did("x", number=1)


def test_what_has_no_two_states_is_told_by_facts() -> None:
    trail = FakeTrail()
    Audit(trail, FakeClock(), lambda: ulid(1)).around(DEED, lambda: did("send", redriven=3), lambda _: 202)
    _, entry = trail.saved
    assert (entry.target, entry.changes) == ("send", {"redriven": (None, "3")})


def test_differences_tell_both_sides_and_neither_texts_nor_phones() -> None:
    before = mailing(text="A secret", filter=AudienceFilter(tags=("new", "vip")))
    told = differences(
        before, replace(before, text="B secret", start_at=NOW + timedelta(days=1), filter=AudienceFilter(), window=None)
    )
    assert "secret" not in str(told)
    assert told["text"][0] != told["text"][1]
    assert told["start_at"][1] == (NOW + timedelta(days=1)).isoformat()
    assert '"tags": ["new", "vip"]' in str(told["filter"][0])
    assert differences(client(phone="79161234567"), None)["phone"] == ("*******4567", None)
    assert differences(None, client(tag="vip"))["tag"] == (None, "vip")
    assert differences(before, before) == {}
    with pytest.raises(TypeError):
        differences(None, None)
