"""Styles, scripts and the icon of the pages: own files, nothing from elsewhere."""

from functools import cache
from importlib.resources import files

from chalice.app import Blueprint, Response

from chalicelib.api.problems import answers_problems
from chalicelib.errors import NotFoundError

static_files = Blueprint(__name__)

_FOLDER = files("chalicelib.admin") / "static"
_TYPES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_AN_HOUR = "public, max-age=3600"


@static_files.route("/admin/static/{file}", methods=["GET"])
@answers_problems
def read_static_file(file: str) -> Response:
    """Show a file that the pages refer to."""
    if file not in _TYPES:
        raise NotFoundError("there is nothing at this address")
    return Response(_read(file), {"Content-Type": _TYPES[file], "Cache-Control": _AN_HOUR})


@cache
def _read(file: str) -> str:
    return (_FOLDER / file).read_text(encoding="utf-8")
