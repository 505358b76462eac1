"""Lists: `{"items": […], "next": cursor | null}`, a page at a time."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from chalice.app import Request
from pydantic import Field

from chalicelib.api.cursor import seal, unseal
from chalicelib.api.schemas import PageQuery, WireModel
from chalicelib.bootstrap import application
from chalicelib.ports import Page

Item = TypeVar("Item")
Shape = TypeVar("Shape", bound=WireModel)


class ListResponse(WireModel, Generic[Shape]):
    """A page of a list."""

    items: Sequence[Shape]
    next: str | None = Field(description="`cursor` of the page after this one; null: this is the last")

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Name the list of `ClientResponse` `ClientList`."""
        return f"{params[0].__name__.removesuffix('Response')}List"


def listed(request: Request, query: PageQuery, page: Page[Item], show: Callable[[Item], Shape]) -> ListResponse[Shape]:
    """Show a page."""
    return ListResponse(items=[show(item) for item in page.items], next=next_cursor(request, query, page))


def position(request: Request, query: PageQuery) -> str | None:
    """Read where the page begins that the query asks for.

    Raises:
        ValidationError: the cursor is not one of this list.
    """
    return unseal(query.cursor, _scope(request, query), _key()) if query.cursor is not None else None


def next_cursor(request: Request, query: PageQuery, page: Page[Item]) -> str | None:
    """Make the cursor of the page after this one."""
    return seal(page.next, _scope(request, query), _key()) if page.next is not None else None


def _scope(request: Request, query: PageQuery) -> str:
    return json.dumps([request.path, request.uri_params, query.model_dump(exclude={"limit", "cursor"})])


def _key() -> str:
    built = application()
    return built.secrets.get(built.settings.signing_key_secret)
