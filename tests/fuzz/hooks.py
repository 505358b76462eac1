"""What Schemathesis has to know of Vestnik that the document cannot say; it loads this module by its name."""
# ruff: noqa: ARG001 - hooks are called with arguments of these names

import json
import os
from collections import defaultdict, deque
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData, UnsupportedMethodResponse

from tests.fuzz import tally  # noqa: F401 - registers itself
from tests.fuzz.allowed import is_refused_by_rule, is_unrouted
from tests.fuzz.moments import moments, ordered

KEPT = 40  # of what an operation creates; the totals of statistics are read from each mailing there is
TIMEOUT_SECONDS = 30

_examples = json.loads(os.environ["FUZZ_EXAMPLES"])
_session = requests.Session()
_session.trust_env = False
_created: defaultdict[str, deque[str]] = defaultdict(deque)


schemathesis.openapi.format("date-time", moments())
schemathesis.openapi.format(
    "time-zone", st.sampled_from(["Europe/Moscow", "Asia/Kamchatka", "UTC", "Etc/GMT-14", "+03:00", "-12:00", "+14:00"])
)


@schemathesis.hook
def map_body(context: HookContext, body: Any) -> Any:  # noqa: ANN401 - JSON
    """Let most mailings end after they start: by chance few would, and what comes after that rule is to be met too."""
    match body:
        case {"start_at": str(start_at), "end_at": str(end_at)}:
            return body | {"end_at": ordered(start_at, end_at)}
    return body


@schemathesis.hook
def before_add_examples(context: HookContext, examples: list[Case[Any]]) -> None:
    """Have each operation that needs something there played on something that is there, in the state it needs."""
    if operation := context.operation:
        prepared = _examples.get(operation.definition.raw["operationId"], ())
        examples += [operation.Case(path_parameters=path_parameters) for path_parameters in prepared]


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Delete the oldest of what was created, lest it pile up."""
    if response.status_code != HTTPStatus.CREATED:
        return
    address = urljoin(str(response.request.url), response.headers["location"][0])
    made = _created[case.operation.label]
    made.append(address)
    if len(made) > KEPT:
        headers = {"Authorization": f"Bearer {os.environ['FUZZ_TOKEN']}"}
        answer = _session.delete(made.popleft(), headers=headers, timeout=TIMEOUT_SECONDS)
        assert answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, answer.text


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Keep a failure unless it is one of those that are allowed, by its reason."""
    if isinstance(failure, RejectedPositiveData):
        return not is_refused_by_rule(response.status_code, _content(response))
    if isinstance(failure, UnsupportedMethodResponse):
        return not is_unrouted(str(response.request.method), response.status_code, _content(response))
    return True


def _content(response: Response) -> object:
    try:
        return response.json()
    except ValueError:
        return None
