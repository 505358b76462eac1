"""An OpenID Connect issuer for development, on loopback: tokens for programs, and a login page for users.

`--help` describes its addresses. Its keys, and the secret of its client, are in the file that it is given.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))  # run by its path, this program finds its own folder only

from werkzeug.serving import make_server

from local_issuer.application import create_app
from local_issuer.memory import Memory
from local_issuer.people import USERS
from probe import free_port, is_port_free
from sessions import HOST

if TYPE_CHECKING:
    from types import FrameType

_HELP = f"""\
/.well-known/openid-configuration   where all else is
POST /token        client_credentials for the client vestnik-development, whose secret is in the file; a scope that is
                   not named: all of them. authorization_code for the public client vestnik-pages, with PKCE (S256)
GET /authorize     the login page: {", ".join(USERS)}; the password is the name. redirect_uri: any http on loopback
GET /logout        ends the login; post_logout_redirect_uri as above
POST /_keys        signs with a new key from here on; tokens signed with the old ones stay good
DELETE /_keys      publishes the newest key only

/_keys asks for no token, and anybody can be any user: keep the issuer on loopback. In a network of containers
--host 0.0.0.0 lets the others reach it, by the address that --address names.
"""


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="development_issuer.py",
        description=__doc__,
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--memory", type=Path, required=True, help="the file for keys and secrets; made if missing")
    parser.add_argument("--audience", default="vestnik", help="`aud` of access tokens (default: %(default)s)")
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, help="port to listen on (default: the one of before, or a free one)")
    parser.add_argument("--address", help="`iss`: where all find it, browsers too (default: http://HOST:PORT)")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # on loopback, where there is no https
    memory = Memory(options.memory)
    port = options.port or (memory.port if memory.port and is_port_free(memory.port) else free_port())
    issuer = options.address or f"http://{options.host}:{port}"
    server = make_server(options.host, port, create_app(memory, issuer, options.audience), threaded=True)
    memory.tell(issuer, options.audience)
    print(f"development issuer at {issuer}", flush=True)
    server.serve_forever()
    return 0


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
