"""The issuer's addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2 import OAuth2Error
from flask import Flask, redirect, render_template_string, request, session

from local_issuer.grants import Server, user_named
from local_issuer.people import USERS, is_on_this_machine

if TYPE_CHECKING:
    from flask import Response
    from werkzeug import Response as AnyResponse

    from local_issuer.memory import Memory

_LOGIN = """\
<!doctype html>
<html lang="en">
<title>Vestnik: log in</title>
<link rel="icon" href="data:,">
<h1>Log in to Vestnik</h1>
<p>The development issuer. Users: {{ users | join(", ") }}; the password is the name.</p>
{% if refused %}<p role="alert">There is no such user, or the password is another.</p>{% endif %}
<form method="post" action="{{ action }}">
  <p><label>User <input name="username" autocomplete="username" required autofocus></label></p>
  <p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
  <p><button>Log in</button></p>
</form>
</html>
"""
_LOGGED_OUT = """\
<!doctype html>
<html lang="en"><title>Vestnik: logged out</title><h1>You are logged out</h1></html>
"""


def create_app(memory: Memory, issuer: str, audience: str) -> Flask:
    """Make the app of the issuer at the address `issuer`, whose access tokens are for `audience`."""
    app = Flask(__name__)
    # Not `session`: browsers tell hosts apart, not ports, and the pages under test are on this host too.
    app.config.update(SECRET_KEY=memory.session_secret, SESSION_COOKIE_NAME="issuer", SESSION_COOKIE_SAMESITE="Lax")
    views = Views(Server(app, memory, issuer, audience), memory, issuer)
    for address, methods, view in (
        ("/.well-known/openid-configuration", ["GET"], views.discovery),
        ("/keys", ["GET"], views.keys),
        ("/token", ["POST"], views.token),
        ("/authorize", ["GET", "POST"], views.authorize),
        ("/logout", ["GET"], views.log_out),
        ("/_keys", ["POST"], views.rotate),
        ("/_keys", ["DELETE"], views.forget_old_keys),
    ):
        app.add_url_rule(address, view.__name__, view, methods=methods)
    app.after_request(_open_to_pages)
    return app


class Views:
    """What each address answers."""

    def __init__(self, server: Server, memory: Memory, issuer: str) -> None:
        self._server = server
        self._memory = memory
        self._issuer = issuer

    def discovery(self) -> dict[str, Any]:
        """Say where all else is (OpenID Connect Discovery 1.0)."""
        return {
            "issuer": self._issuer,
            "authorization_endpoint": f"{self._issuer}/authorize",
            "token_endpoint": f"{self._issuer}/token",
            "jwks_uri": f"{self._issuer}/keys",
            "end_session_endpoint": f"{self._issuer}/logout",
            "scopes_supported": self._server.scopes_supported,
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "name", "email", "roles"],
        }

    def keys(self) -> dict[str, Any]:
        """Publish the keys."""
        return self._memory.published

    def rotate(self) -> dict[str, Any]:
        """Sign with a new key."""
        self._memory.rotate()
        return self._memory.published

    def forget_old_keys(self) -> dict[str, Any]:
        """Publish the newest key only."""
        self._memory.forget_old_keys()
        return self._memory.published

    def token(self) -> Response:
        """Give a token for client credentials, or for a code."""
        response: Response = self._server.create_token_response()
        return response

    def authorize(self) -> Response | str:
        """Have a user log in, and send the page its code."""
        if request.method == "POST":
            known = user_named(request.form.get("username"), request.form.get("password"))
            session["user"] = known.id if known else None
        user = USERS.get(session.get("user") or "")
        try:
            grant = self._server.get_consent_grant(end_user=user)
        except OAuth2Error as error:
            refused: Response = self._server.handle_error_response(request, error)
            return refused
        if user is None or (grant.prompt == "login" and request.method == "GET"):
            return render_template_string(
                _LOGIN, users=USERS, action=request.full_path, refused=request.method == "POST"
            )
        answer: Response = self._server.create_authorization_response(grant=grant, grant_user=user)
        return answer

    def log_out(self) -> AnyResponse | str:
        """Forget who is logged in."""
        session.clear()
        back = request.args.get("post_logout_redirect_uri", "")
        return redirect(back) if is_on_this_machine(back) else _LOGGED_OUT


def _open_to_pages(response: Response) -> Response:
    """Let pages at any port of this machine read answers: they ask for tokens by themselves."""
    origin = request.headers.get("Origin", "")
    if is_on_this_machine(origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, X-Requested-With"
        response.headers["Vary"] = "Origin"
    return response
