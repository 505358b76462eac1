"""A resource of the API: its operations, each declared once, as a typed function.

What a view declares is all there is: the same signature is what requests are checked against, what the answer is made
of, and what the OpenAPI document says.

- Parameters named as a part of the path get its id; `query` and `body` get the shape that they are annotated with,
  `request` gets Chalice's request, `principal` who makes it, `if_match` which states a change was meant for,
  `new_id` what makes the id of what is created.
- The answer is a shape (200), `Created` of one (201), `Accepted` of one (202), None (204), or, where it has no shape,
  a `Response` of Chalice, annotated with its media types: `Annotated[Response, "text/plain"]`.

An answer that shows an `Entity` carries its entity tag. A POST heeds `Idempotency-Key`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial, wraps
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from chalice.app import Blueprint, Request, Response

from chalicelib.api.audited import audited, is_audited
from chalicelib.api.idempotency import once
from chalicelib.api.parameters import PATH_PARAMETERS, read_body, read_optional_body, read_query
from chalicelib.api.preconditions import IfMatch, tagged, unless_known
from chalicelib.api.problems import answers_problems
from chalicelib.api.schemas import Entity, NoBody, NoQuery, WireModel
from chalicelib.api.scopes import Scope

Shape = TypeVar("Shape", bound=WireModel)
View = TypeVar("View", bound=Callable[..., object])

PRINCIPAL = "principal"  # where the middleware leaves it in the request's context


@dataclass(frozen=True, slots=True)
class Created(Generic[Shape]):
    """What was created, and its path relative to the address that was posted to.

    So `Location` is right wherever the API stands: an absolute path would have to name the stage, which only the
    gateway knows. To `…/clients`, `./clients/01J…` is `…/clients/01J…`.
    """

    shape: Shape
    path: str


@dataclass(frozen=True, slots=True)
class Accepted(Generic[Shape]):
    """What was asked for and is not done yet."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of an address.

    Attributes:
        scope: what a token must carry; None for an operation that is open to all.
        query, body: shapes of what is given; `body` is None for methods that have none.
        answer: the shape of the answer, None where there is none or it is no JSON.
        problems: failures of its own, beside those that any operation of its kind can have.
        media_types: of an answer that has no shape.
    """

    method: str
    path: str
    tag: str
    scope: Scope | None
    view: Callable[..., object]
    wanted: frozenset[str]
    query: type[WireModel]
    body: type[WireModel] | None
    status: HTTPStatus
    answer: type[WireModel] | None
    problems: frozenset[HTTPStatus]
    media_types: tuple[str, ...]

    @property
    def needs_body(self) -> bool:
        """Tell whether a request without a body is refused."""
        if self.body is None:
            return False
        return self.method != "POST" or any(field.is_required() for field in self.body.model_fields.values())

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The names in its path, in order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def tagged(self) -> bool:
        """Tell whether its answers carry an entity tag."""
        return self.answer is not None and issubclass(self.answer, Entity)

    @property
    def keyed(self) -> bool:
        """Tell whether it heeds `Idempotency-Key`."""
        return self.method == "POST" and self.scope is not None

    @property
    def conditional(self) -> bool:
        """Tell whether it heeds `If-Match`."""
        return "if_match" in self.wanted

    def answered(self, request: Request, path: dict[str, str]) -> Response:
        """Read the request, call the view, make its answer a response."""
        given = self._given(request, path)
        if self.method == "POST":
            route = [self.path, *(str(given[name]) for name in path)]
            return once(request, given["principal"], route, lambda new_id: self._answer(given | {"new_id": new_id}))
        answer = self._answer(given)
        return unless_known(request, answer) if self.method == "GET" else answer

    def _given(self, request: Request, path: dict[str, str]) -> dict[str, Any]:
        given: dict[str, Any] = {name: PATH_PARAMETERS[name].read(text) for name, text in path.items()}
        if self.body is None:
            given["query"] = read_query(request, self.query)
        else:
            read = read_body if self.needs_body else read_optional_body
            given["body"] = read(request, self.body)
        if self.conditional:
            given["if_match"] = IfMatch.of(request)
        return given | {"request": request, "principal": request.context.get(PRINCIPAL)}

    def _answer(self, given: dict[str, Any]) -> Response:
        response = _response(self.view(**{name: value for name, value in given.items() if name in self.wanted}))
        return tagged(response) if self.tagged else response


class Resource(Blueprint):
    """A blueprint whose routes are operations."""

    def __init__(self, import_name: str, tag: str) -> None:
        super().__init__(import_name)
        self.tag = tag
        self.operations: list[Operation] = []

    def get(self, path: str, scope: Scope | None, *problems: HTTPStatus) -> Callable[[View], View]:
        """Declare a view that reads."""
        return self._operation("GET", path, scope, problems)

    def post(self, path: str, scope: Scope | None, *problems: HTTPStatus) -> Callable[[View], View]:
        """Declare a view that creates or controls."""
        return self._operation("POST", path, scope, problems)

    def patch(self, path: str, scope: Scope | None, *problems: HTTPStatus) -> Callable[[View], View]:
        """Declare a view that changes."""
        return self._operation("PATCH", path, scope, problems)

    def delete(self, path: str, scope: Scope | None, *problems: HTTPStatus) -> Callable[[View], View]:
        """Declare a view that deletes."""
        return self._operation("DELETE", path, scope, problems)

    def _operation(
        self, method: str, path: str, scope: Scope | None, problems: Collection[HTTPStatus]
    ) -> Callable[[View], View]:
        def declare(view: View) -> View:
            operation = _declared(view, method, path, self.tag, scope, frozenset(problems))
            self.operations.append(operation)

            @wraps(view)
            @answers_problems
            def answering(**path_parameters: str) -> Response:
                request = self.current_request
                if scope is None or not is_audited(method, path):
                    return operation.answered(request, path_parameters)
                answer = partial(answers_problems(operation.answered), request, path_parameters)
                return audited(request.context[PRINCIPAL].subject, "api", f"{method} {path}", path_parameters, answer)

            # Chalice would ask a GET for its Content-Type too; where there is no body, it says nothing.
            content_types = ["application/json"] if operation.body else []
            self.route(path, methods=[method], content_types=content_types)(answering)
            return view

        return declare


def _declared(
    view: Callable[..., object],
    method: str,
    path: str,
    tag: str,
    scope: Scope | None,
    problems: frozenset[HTTPStatus],
) -> Operation:
    hints = get_type_hints(view, include_extras=True)
    answer = hints.pop("return")
    status, media_types = HTTPStatus.OK, list[str]()
    if answer is type(None):
        status, answer = HTTPStatus.NO_CONTENT, None
    elif get_origin(answer) is Annotated:
        (_, *media_types), answer = get_args(answer), None
    elif (kind := get_origin(answer)) in _STATUS_OF:
        status, (answer,) = _STATUS_OF[kind], get_args(answer)
    if method == "POST":
        problems |= {HTTPStatus.CONFLICT}  # the Idempotency-Key of a request that is being answered
    if "if_match" in hints:
        problems |= {HTTPStatus.PRECONDITION_FAILED}
    return Operation(
        method=method,
        path=path,
        tag=tag,
        scope=scope,
        view=view,
        wanted=frozenset(hints),
        query=hints.get("query", NoQuery),
        body=hints.get("body", NoBody) if method in {"POST", "PATCH"} else None,
        status=status,
        answer=answer,
        problems=problems,
        media_types=tuple(media_types),
    )


_STATUS_OF: dict[Any, HTTPStatus] = {Created: HTTPStatus.CREATED, Accepted: HTTPStatus.ACCEPTED}


def _response(answer: object) -> Response:
    match answer:
        case Response():
            return answer
        case Created(shape, path):
            return Response(_json(shape), {"Location": f"./{path}"}, HTTPStatus.CREATED)
        case Accepted(shape):
            return Response(_json(shape), status_code=HTTPStatus.ACCEPTED)
        case WireModel():
            return Response(_json(answer))
        case None:
            return Response("", status_code=HTTPStatus.NO_CONTENT)
        case _:
            raise TypeError(f"a view answered with {type(answer).__name__}")


def _json(model: WireModel) -> dict[str, object]:
    return model.model_dump(mode="json", by_alias=True)
