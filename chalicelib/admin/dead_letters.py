from collections.abc import Mapping
from typing import Any

from chalicelib.admin.pages import Form, Page, Pages
from chalicelib.admin.roles import Role
from chalicelib.api.dead_letter_schemas import LetterId, ListDeadLettersQuery, QueueName, RedriveRequest, queues
from chalicelib.api.parameters import validated
from chalicelib.api.schemas import WireModel
from chalicelib.bootstrap import application
from chalicelib.domain.dead_letter import DeadQueue

dead_letters = Pages(__name__)


class RedriveQuery(WireModel):
    """What is to be redriven: all, what lies in one queue, or of it one letter."""

    queue: QueueName | None = None
    id: LetterId | None = None


@dead_letters.page("/dead-letters", Role.ADMIN)
def show_dead_letters(query: ListDeadLettersQuery) -> Page:
    """Show tickets that failed, each with its cause and ids, and never their bodies."""
    built = application()
    letters = built.list_dead_letters(queues(query.queue), query.limit)
    values = {"letters": letters, "queue": query.queue, "limit": query.limit, "now": built.clock()}
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
