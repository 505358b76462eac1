from pathlib import Path

import pytest

import stages
from chalicelib.errors import ConfigurationError
from local_error import LocalError
from stages import check, effective, read_stage
from targets import stack_of

DECLARED = {
    "ProviderToken": {"Type": "String", "NoEcho": True, "Default": ""},
    "DeletionProtection": {"Type": "String", "Default": "true"},
    "RequireTls": {"Type": "String", "Default": "true"},
    "SenderConcurrency": {"Type": "Number", "Default": 5},
    "MaxAttempts": {"Type": "String", "Default": ""},
    "IssuerUrl": {"Type": "String", "Default": ""},
    "ProviderUrl": {"Type": "String", "Default": ""},
    "PlainHttpHosts": {"Type": "String", "Default": ""},
}
WHOLE = {"PROVIDER_URL": "https://provider.example", "ISSUER_URL": "https://issuer.example"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dev.json").write_text('{"DeletionProtection": "false", "MaxAttempts": "3"}')
    (tmp_path / "prod.json").write_text("{}")
    monkeypatch.setattr(stages, "FOLDER", tmp_path)
    return tmp_path


def checked(name: str, environ: dict[str, str], overrides: list[str], earlier: dict[str, str] | None = None) -> None:
    stage = read_stage(name, environ, overrides)
    check(stage, DECLARED, effective(DECLARED, stage.given, earlier or {}))


def test_command_line_goes_above_the_environment_and_that_above_the_file() -> None:
    file, environ, line = {"DeletionProtection": "false"}, {"MAX_ATTEMPTS": "4"}, ["MaxAttempts=5"]

    assert read_stage("dev", {}).given == {**file, "MaxAttempts": "3"}
    assert read_stage("dev", environ).given == {**file, "MaxAttempts": "4"}
    assert read_stage("dev", environ, line).given == {**file, "MaxAttempts": "5"}


def test_empty_variable_is_none_and_an_empty_override_takes_the_default_back() -> None:
    assert read_stage("dev", {"MAX_ATTEMPTS": ""}, ["DeletionProtection="]).given == {
        "DeletionProtection": "",
        "MaxAttempts": "3",
    }


def test_secrets_come_from_the_environment_only() -> None:
    assert read_stage("prod", {"PROVIDER_TOKEN": "t0ken"}).given == {"ProviderToken": "t0ken"}
    with pytest.raises(LocalError, match="ProviderToken is secret; give it by the environment"):
        read_stage("prod", {}, ["ProviderToken=t0ken"])


def test_variables_that_are_no_settings_are_left_alone() -> None:
    assert read_stage("prod", {"SENDER_CONCURRENCY": "9", "HOME": "/"}).given == {}


def test_stage_is_a_stack_of_its_own_name_unless_another_is_named() -> None:
    assert stack_of("dev", {}) == "vestnik-dev"
    assert read_stage("dev", {"STACK_NAME": "mine"}).stack_name == "mine"


@pytest.mark.parametrize("name", ["", "Dev", "../dev", "1st", "a" * 21])
def test_what_is_no_name_of_a_stage_is_refused(name: str) -> None:
    with pytest.raises(LocalError, match="is no stage"):
        read_stage(name, {})


def test_stage_without_a_file_names_those_that_there_are() -> None:
    with pytest.raises(LocalError, match=r"there is no infra/stages/test\.json; stages: dev, prod"):
        read_stage("test", {})


def test_override_without_a_value_is_refused() -> None:
    with pytest.raises(LocalError, match="'MaxAttempts' is not Name=Value"):
        read_stage("dev", {}, ["MaxAttempts"])


def test_what_nobody_names_stays_as_the_stack_has_it_or_is_the_default() -> None:
    values = effective(DECLARED, {"MaxAttempts": "5"}, {"MaxAttempts": "4", "RequireTls": "false"})

    assert (values["MaxAttempts"], values["RequireTls"], values["SenderConcurrency"]) == ("5", "false", "5")


def test_unknown_parameter_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(LocalError, match=r"has no parameter SenderConcurency; SenderConcurrency\?"):
        checked("dev", WHOLE, ["SenderConcurency=3"])
    with pytest.raises(LocalError, match=r"has no parameter Zzz$"):
        checked("dev", WHOLE, ["Zzz=3"])


def test_settings_that_functions_would_refuse_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="PROVIDER_URL"):
        checked("dev", {}, [])
    with pytest.raises(ConfigurationError, match="MAX_ATTEMPTS"):
        checked("dev", WHOLE, ["MaxAttempts=many"])
    checked("dev", {}, [], earlier={"ProviderUrl": "https://provider.example"})


def test_production_is_refused_with_all_that_it_lacks() -> None:
    unsafe = ["DeletionProtection=false", "RequireTls=false", "PlainHttpHosts=provider"]

    with pytest.raises(LocalError) as refused:
        checked("prod", {"PROVIDER_URL": "https://provider.example"}, unsafe)

    assert str(refused.value) == (
        "stage prod: DeletionProtection must be true; RequireTls must be true; "
        "PLAIN_HTTP_HOSTS is for private networks of containers; ISSUER_URL is not set, and without it nobody is let in"
    )
    checked("prod", WHOLE, [])
    checked("dev", {"PROVIDER_URL": "https://provider.example"}, unsafe)
