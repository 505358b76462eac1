"""Stages: what each one's file, the shell and the command line say of the template's parameters."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib.config import Tuning, parse
from local_error import LocalError
from targets import stack_of

FOLDER = Path(__file__).resolve().parents[1] / "stages"
PRODUCTION = "prod"
EMULATED = "local"
SECRETS = ("PROVIDER_TOKEN", "PAGES_CLIENT_SECRET", "SCRAPE_SECRET")
"""From the environment only: a file is committed, a command line is seen by everybody on the machine."""
SETTINGS = tuple(map(str.upper, Tuning.model_fields))


@dataclass(frozen=True, slots=True)
class Stage:
    """One place that Vestnik runs at. `given`: parameters of infra/template.yaml that somebody names."""

    name: str
    stack_name: str
    given: Mapping[str, str]


def parameter_name(variable: str) -> str:
    """Name the template's parameter for a setting: MAX_ATTEMPTS is MaxAttempts."""
    return "".join(word.capitalize() for word in variable.split("_"))


def read_stage(name: str, environ: Mapping[str, str], overrides: Sequence[str] = ()) -> Stage:
    """Gather what is given: the stage's file, above it the environment's settings and secrets, above it Name=Value.

    Raises:
        LocalError: there is no such stage, or an override is not Name=Value.
    """
    stack_name = stack_of(name, environ)
    said = {parameter_name(variable): environ[variable] for variable in (*SETTINGS, *SECRETS) if environ.get(variable)}
    return Stage(name, stack_name, {**parameters_of(name), **said, **dict(map(_override, overrides))})


def parameters_of(name: str) -> Mapping[str, str]:
    """Read a stage's file.

    Raises:
        LocalError: there is none.
    """
    file = FOLDER / f"{name}.json"
    if not file.exists():
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.json")))
        raise LocalError(f"there is no infra/stages/{name}.json; stages: {known}")
    parameters: Mapping[str, str] = json.loads(file.read_text())
    return parameters


def effective(declared: Mapping[str, Any], given: Mapping[str, str], earlier: Mapping[str, str]) -> dict[str, str]:
    """Return each parameter's value as it will be: given, else as the stack has it, else the template's default."""
    return {name: given.get(name, earlier.get(name, str(about.get("Default", "")))) for name, about in declared.items()}


def check(stage: Stage, declared: Mapping[str, Any], values: Mapping[str, str]) -> None:
    """Refuse what cannot work, before anything is made.

    Raises:
        ConfigurationError: settings that the functions would refuse, by name.
        LocalError: a parameter that there is none of, or what a stage of production must not be without.
    """
    for name in sorted(set(stage.given) - set(declared)):
        near = difflib.get_close_matches(name, declared, n=1)
        raise LocalError(f"infra/template.yaml has no parameter {name}" + (f"; {near[0]}?" if near else ""))
    parse(Tuning, {variable: values.get(parameter_name(variable), "") for variable in SETTINGS})
    if stage.name == PRODUCTION and (wrong := list(_unfit_for_production(values))):
        raise LocalError(f"stage {PRODUCTION}: {'; '.join(wrong)}")


def _unfit_for_production(values: Mapping[str, str]) -> Iterator[str]:
    for name in ("DeletionProtection", "RequireTls"):
        if values[name] != "true":
            yield f"{name} must be true"
    if values.get("PlainHttpHosts"):
        yield "PLAIN_HTTP_HOSTS is for private networks of containers"
    if not values["IssuerUrl"]:
        yield "ISSUER_URL is not set, and without it nobody is let in"


def _override(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise LocalError(f"{text!r} is not Name=Value")
    if name in map(parameter_name, SECRETS):
        raise LocalError(f"{name} is secret; give it by the environment")
    return name, value
