"""What the API's callers and the pages' users change or take away, each with its entry in the audit trail."""

from collections.abc import Callable, Mapping

from chalice.app import Response

from chalicelib.bootstrap import application
from chalicelib.domain.phone import mask
from chalicelib.services.audit_trail import Deed

PREVIEW = "/preview"  # a POST that changes nothing
EXPORT = "/export"  # a GET that hands out the data of many


def is_audited(method: str, path: str) -> bool:
    """Tell whether a route changes something, or lets somebody take away what is confidential."""
    return path.endswith(EXPORT) if method == "GET" else not path.endswith(PREVIEW)


def audited(
    subject: str, via: str, route: str, path_parameters: Mapping[str, str], answer: Callable[[], Response]
) -> Response:
    """Answer a request to such a route, whatever comes of it, with its entry around it.

    Args:
        subject: who asks.
        via: `api` or `pages`.
        route: method and path, with the names of parameters.
        path_parameters: ids that stand in the path; a phone is shortened.
        answer: does it and does not raise.
    """
    target = next((mask(value) if name == "phone" else value[:64] for name, value in path_parameters.items()), None)
    return application().audit.around(
        Deed(subject, via, route, target), answer, lambda response: int(response.status_code)
    )
