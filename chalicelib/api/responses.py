"""Answers that are not problems."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from chalice.app import Request, Response

from chalicelib.api.cursor import seal, unseal
from chalicelib.api.schemas import PageQuery, WireModel
from chalicelib.bootstrap import application
from chalicelib.ports import Page

Item = TypeVar("Item")


def shown(model: WireModel, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with a shape."""
    return Response(_dump(model), status_code=status)


def created(model: WireModel, path: str) -> Response:
    """Answer 201. `Location` is relative to the address that was posted to.

    So it is right wherever the API stands: an absolute path would have to name the stage, which only the gateway
    knows. To `…/clients`, `./clients/01J…` is `…/clients/01J…`.
    """
    return Response(_dump(model), {"Location": f"./{path}"}, HTTPStatus.CREATED)


def deleted() -> Response:
    """Answer 204."""
    return Response("", status_code=HTTPStatus.NO_CONTENT)


def listed(request: Request, query: PageQuery, page: Page[Item], show: Callable[[Item], WireModel]) -> Response:
    """Answer with a page: `{"items": […], "next": cursor | null}`."""
    return Response({"items": [_dump(show(item)) for item in page.items], "next": next_cursor(request, query, page)})


def position(request: Request, query: PageQuery) -> str | None:
    """Read where the page begins that the query asks for.

    Raises:
        ValidationError: the cursor is not one of this list.
    """
    return unseal(query.cursor, _scope(request, query), _key()) if query.cursor is not None else None


def next_cursor(request: Request, query: PageQuery, page: Page[Item]) -> str | None:
    """Make the cursor of the page after this one."""
    return seal(page.next, _scope(request, query), _key()) if page.next is not None else None


def _dump(model: WireModel) -> dict[str, object]:
    return model.model_dump(mode="json", by_alias=True)


def _scope(request: Request, query: PageQuery) -> str:
    return json.dumps([request.path, request.uri_params, query.model_dump(exclude={"limit", "cursor"})])


def _key() -> str:
    built = application()
    return built.secrets.get(built.settings.api_token_secret)
