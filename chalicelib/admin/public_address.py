"""Where browsers see the pages: the issuer sends them back there."""

from urllib.parse import urlsplit

from chalice.app import Request

from chalicelib.api.headers import is_on_loopback
from chalicelib.bootstrap import application
from chalicelib.config import LOOPBACK_HOSTS


def public_address(request: Request) -> str:
    """Tell the pages' address, with a slash at its end: as it is set, or as the gateway saw this request.

    The gateway chooses the API by `Host`, so on AWS nobody can make up another; and the issuer sends to addresses that
    it knows, and no others.
    """
    configured = application().settings.admin_url
    if configured is not None:
        return configured.replace("{api_id}", request.context.get("apiId", ""))
    scheme = "http" if is_on_loopback(request) else "https"
    host, path = request.headers.get("host", "localhost"), request.context["path"]
    return f"{scheme}://{host}{path[: path.rindex('/admin/')]}/admin/"


def is_elsewhere_on_loopback(request: Request) -> bool:
    """Tell whether the pages are seen under another name of this machine than the one that is set.

    Cookies belong to a name: what a login begins at `localhost` it cannot finish at `127.0.0.1`.
    """
    configured = urlsplit(application().settings.admin_url or "")
    return configured.hostname in LOOPBACK_HOSTS and request.headers.get("host", configured.netloc) != configured.netloc


def is_inside(back: str) -> bool:
    """Tell whether an address, relative to the pages' own, stays among them: no scheme, no host, no way up."""
    path = back.partition("?")[0]
    return (
        not back.startswith(("/", "?"))
        and all(" " < char < "\x7f" for char in back)
        and not set(path) & set(":\\%")
        and not set(back) & set("\\#")
        and ".." not in path.split("/")
    )
