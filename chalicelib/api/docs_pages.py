"""`/docs/`: Swagger UI over `/openapi.json`, all of it from here.

Swagger UI is the one that Powertools ships; our own are the page and the lines that start it.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from string import Template

from chalice.app import Blueprint, Response

from chalicelib.api.problems import answers_problems
from chalicelib.errors import NotFoundError

docs_pages = Blueprint(__name__)

_OURS = files("chalicelib.api") / "docs_page"
_SWAGGER_UI = files("aws_lambda_powertools") / "event_handler" / "openapi" / "swagger_ui"
_ASSETS = {
    "swagger-ui-bundle.min.js": _SWAGGER_UI,
    "swagger-ui.min.css": _SWAGGER_UI,
    "start.js": _OURS,
    "page.css": _OURS,
}
_TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
_FOR_GOOD = "public, max-age=31536000, immutable"

# Nothing from elsewhere, nothing inline, no eval. Icons are `data:` images in Swagger UI's style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class _Page:
    html: str
    assets: dict[str, str]


@docs_pages.route("/docs", methods=["GET"])
@answers_problems
def read_docs() -> Response:
    """Show the page, to which everything on it is relative; without the slash at its end, say where it is."""
    if not docs_pages.current_request.context["path"].endswith("/"):
        return Response("", {"Location": "./docs/"}, HTTPStatus.PERMANENT_REDIRECT)
    return Response(_page().html, {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY})


@docs_pages.route("/docs/{file}", methods=["GET"])
@answers_problems
def read_docs_file(file: str) -> Response:
    """Show what the page consists of; it is asked for by version, so that browsers may keep it."""
    if file not in _ASSETS:
        raise NotFoundError("there is nothing at this address")
    content_type = _TYPES[file.rpartition(".")[2]]
    return Response(_page().assets[file], {"Content-Type": content_type, "Cache-Control": _FOR_GOOD})


@cache
def _page() -> _Page:
    assets = {name: (folder / name).read_text(encoding="utf-8") for name, folder in _ASSETS.items()}
    version = hashlib.sha256("".join(assets.values()).encode()).hexdigest()[:12]
    html = Template((_OURS / "index.html").read_text(encoding="utf-8")).substitute(version=version)
    return _Page(html, assets)
