"""What can be done with a mailing: each by a page that names the effect, and a button there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from chalicelib.admin.pages import Form, Page, Pages, Redirect
from chalicelib.admin.repeats import id_for
from chalicelib.admin.roles import Role
from chalicelib.api.preview_schemas import PreviewResponse
from chalicelib.bootstrap import Application, application, new_id
from chalicelib.domain.audience import AudienceFilter
from chalicelib.domain.mailing import ENDED, Mailing, MailingStatus
from chalicelib.domain.phone import is_phone
from chalicelib.errors import ConflictError
from chalicelib.services.manage_mailings import NewMailing
from chalicelib.services.read_statistics import Counts

mailing_actions = Pages(__name__)

LIVING = frozenset(set(MailingStatus) - ENDED)


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be done with a mailing.

    Attributes:
        name: the last part of its address; the templates have the words for it.
        allowed: in which states.
        do: does it.
        notice: what is said when it is done.
        to: where one goes then; `{}` is the mailing.
    """

    name: str
    allowed: frozenset[MailingStatus]
    do: Callable[[Application, str], object]
    notice: str
    role: Role = Role.SENDER
    to: str = "mailings/{}"


ACTIONS = (
    Action(
        "start",
        frozenset({MailingStatus.DRAFT}),
        lambda built, mailing_id: built.control_mailings.start(mailing_id),
        "started",
    ),
    Action(
        "pause",
        frozenset({MailingStatus.RUNNING}),
        lambda built, mailing_id: built.control_mailings.pause(mailing_id),
        "paused",
    ),
    Action(
        "resume",
        frozenset({MailingStatus.PAUSED}),
        lambda built, mailing_id: built.control_mailings.resume(mailing_id),
        "resumed",
    ),
    Action(
        "retry",
        frozenset({MailingStatus.RUNNING, MailingStatus.FINISHED}),
        lambda built, mailing_id: built.control_mailings.retry(mailing_id),
        "retried",
    ),
    Action(
        "cancel",
        LIVING,
        lambda built, mailing_id: built.control_mailings.cancel(mailing_id),
        "cancelled",
    ),
    Action(
        "delete",
        frozenset(set(MailingStatus) - {MailingStatus.DELETED}),
        lambda built, mailing_id: built.manage_mailings.delete(mailing_id),
        "deleted",
        to="mailings",
    ),
)
_NEED_TIME = frozenset({"start", "resume", "retry"})


def offered(mailing: Mailing, counts: Counts, now: datetime) -> list[Action]:
    """List what could be done with a mailing as it is."""
    return [
        action
        for action in ACTIONS
        if mailing.status in action.allowed
        and (action.name not in _NEED_TIME or now < mailing.end_at)
        and (action.name != "retry" or counts.failed)
    ]


def _declare(action: Action) -> None:
    def confirm(mailing_id: str) -> Page:
        built = application()
        mailing = built.manage_mailings.get(mailing_id)
        counts = built.read_statistics.counts_of([mailing_id])[mailing_id]
        if action not in offered(mailing, counts, built.clock()):
            raise ConflictError(f"the mailing is {mailing.status}: this is not possible, or there is nothing to do")
        values = {"section": "mailings", "mailing": mailing, "counts": counts, "action": action}
        preview = _preview_of(mailing) if action.name == "start" else None
        return Page(
            "mailing_action.html", values | {"preview": preview, "begins_now": mailing.start_at <= built.clock()}
        )

    def act(mailing_id: str) -> Redirect:
        action.do(application(), mailing_id)
        return Redirect(action.to.format(mailing_id), action.notice)

    mailing_actions.page(f"/mailings/{{mailing_id}}/{action.name}", action.role)(confirm)
    mailing_actions.action(f"/mailings/{{mailing_id}}/{action.name}", action.role)(act)


for _each in ACTIONS:
    _declare(_each)


def _preview_of(mailing: Mailing) -> PreviewResponse:
    new = NewMailing(mailing.start_at, mailing.end_at, mailing.text, mailing.filter, mailing.window)
    return PreviewResponse.of(application().preview_mailing(new))


@mailing_actions.page("/mailings/{mailing_id}/test", Role.SENDER)
def ask_for_test(mailing_id: str) -> Page:
    """Ask whom to send a test to."""
    return _test_form(application().manage_mailings.get(mailing_id), "", new_id())


@mailing_actions.action("/mailings/{mailing_id}/test", Role.SENDER)
def send_test(mailing_id: str, form: Form) -> Page | Redirect:
    """Send the text to one client now, and show what becomes of the message."""
    built = application()
    mailing = built.manage_mailings.get(mailing_id)
    phone, key = form.text("phone"), form.text("key")
    if not is_phone(phone):
        return _test_form(mailing, phone, key, "phone")
    clients = built.manage_clients.with_phone(phone, AudienceFilter()).items
    if not clients:
        return _test_form(mailing, phone, key, "unknown")
    try:
        message = built.send_test(mailing_id, clients[0].id, id_for(key, mailing_id, clients[0].id))
    except ConflictError:
        return _test_form(mailing, phone, key, "suppressed")
    return Redirect(f"messages/{message.id}")


def _test_form(mailing: Mailing, phone: str, key: str, fault: str | None = None) -> Page:
    values = {"section": "mailings", "mailing": mailing, "phone": phone, "key": key, "fault": fault}
    return Page("mailing_test.html", values, HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK)
