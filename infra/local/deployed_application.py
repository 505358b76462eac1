"""The application of a deployed stack in this process: for what takes longer than a function may."""

import os
from urllib.parse import urlsplit

from chalicelib.bootstrap import Application
from chalicelib.config import Settings
from sessions import LocalSession, local_environ
from targets import Target

OF_A_PROGRAM = {"LOG_LEVEL": "WARNING", "TRACING": ""}
"""Which differ from the functions': a program says itself what it does, and belongs to no trace."""


def sender_settings(target: Target) -> dict[str, str]:
    """Read the environment of the stack's sender, which all functions share."""
    name = f"{target.stack_name}-sender"
    configuration = target.client("lambda").get_function_configuration(FunctionName=name)
    return dict(configuration["Environment"]["Variables"])


def application_of(target: Target, settings: dict[str, str]) -> Application:
    """Build the application with the settings of the stack's functions; its clients go where the target's go."""
    if isinstance(target.session, LocalSession):
        os.environ.update(local_environ({}, urlsplit(target.session.endpoint).port or 80))
    return Application(Settings.from_env(settings | OF_A_PROGRAM))
