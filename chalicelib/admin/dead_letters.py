from collections.abc import Mapping
from typing import Annotated, Any

from babel.dates import format_timedelta
from pydantic import BeforeValidator

from chalicelib.admin.messages import none_if_blank
from chalicelib.admin.pages import Form, Page, Pages, Visit
from chalicelib.admin.roles import Role
from chalicelib.api.dead_letter_schemas import LetterId, ListDeadLettersQuery, QueueName, RedriveRequest, queues
from chalicelib.api.parameters import validated
from chalicelib.api.schemas import WireModel
from chalicelib.bootstrap import application
from chalicelib.domain.dead_letter import DeadQueue

dead_letters = Pages(__name__)


class DeadLettersQuery(ListDeadLettersQuery):
    """Which dead letters; no queue in the form is all of them."""

    queue: Annotated[QueueName | None, BeforeValidator(none_if_blank)] = None


class RedriveQuery(WireModel):
    """What is to be redriven: all, what lies in one queue, or of it one letter."""

    queue: QueueName | None = None
    id: LetterId | None = None


@dead_letters.page("/dead-letters", Role.ADMIN)
def show_dead_letters(query: DeadLettersQuery, visit: Visit) -> Page:
    """Show tickets that failed, each with its cause and ids, and never their bodies."""
    built = application()
    letters = built.list_dead_letters(queues(query.queue), query.limit)
    language, now = visit.preferences.language, built.clock()
    ages = {letter.id: format_timedelta(now - letter.sent_at, locale=language) for letter in letters}
    values = {"letters": letters, "ages": ages, "queue": query.queue, "limit": query.limit}
    return _page("dead_letters.html", {**values, "queues": list(DeadQueue)})


@dead_letters.page("/dead-letters/redrive", Role.ADMIN)
def confirm_redrive(query: RedriveQuery) -> Page:
    """Ask whether to, and say what it does."""
    return _page("dead_letters_confirm.html", {"queue": query.queue, "id": query.id})


@dead_letters.action("/dead-letters/redrive", Role.ADMIN)
def redrive(form: Form) -> Page:
    """Put tickets that failed back through all checks; those that are left are told with the reason."""
    given = {"queue": form.text("queue") or None, "ids": form.texts("id") or None}
    asked = validated(RedriveRequest, given)
    ids = None if asked.ids is None else frozenset(asked.ids)
    done = application().redrive_dead_letters(queues(asked.queue), ids)
    return _page("dead_letters_redriven.html", {"redriven": done.redriven, "left": done.left})


def _page(template: str, values: Mapping[str, Any]) -> Page:
    return Page(template, {"section": "dead-letters", **values})
