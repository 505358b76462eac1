from chalice.app import Blueprint, Response

from chalicelib.api.problems import answers_problems

health = Blueprint(__name__)


@health.route("/health", methods=["GET"])
@answers_problems
def read_health() -> Response:
    """Say that the API answers; it asks nobody else, so a slow dependency does not make it look dead."""
    return Response({"status": "ok"})
