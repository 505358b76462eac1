import pytest

from chalicelib.config import ReportTuning, Settings, Tuning, answers_requests, parse
from chalicelib.errors import ConfigurationError
from tests.settings import ENVIRONMENT

LOCAL = {"PROVIDER_URL": "http://127.0.0.1:8080/"}


def test_an_empty_variable_counts_as_not_set() -> None:
    assert parse(Tuning, LOCAL | {"MAX_ATTEMPTS": "", "LOG_LEVEL": ""}) == parse(Tuning, LOCAL)


def test_the_address_of_the_provider_loses_its_last_slash() -> None:
    assert parse(Tuning, LOCAL).provider_url == "http://127.0.0.1:8080"


def test_the_address_of_the_issuer_stays_as_tokens_have_it() -> None:
    assert parse(Tuning, LOCAL | {"ISSUER_URL": "https://tenant.example/"}).issuer_url == "https://tenant.example/"
    assert parse(Tuning, LOCAL | {"ISSUER_URL": ""}).issuer_url is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROVIDER_URL", "ftp://127.0.0.1"),
        ("PROVIDER_URL", "https://"),
        ("PROVIDER_URL", "http://provider.example"),
        ("PROVIDER_TIMEOUT_SECONDS", "11"),
        ("ISSUER_URL", "http://issuer.example"),
        ("ISSUER_URL", "https://issuer.example/?tenant=1"),
        ("ISSUER_URL", "https://issuer.example/#x"),
        ("ISSUER_URL", "issuer.example"),
        ("TOKEN_LEEWAY_SECONDS", "-1"),
        ("TOKEN_LEEWAY_SECONDS", "301"),
        ("MAX_ATTEMPTS", "banana"),
        ("SENDER_THREADS", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("REPORT_SENDER", "Vestnik <reports@vestnik.example>"),
        ("REPORT_SENDER", f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}"),
        ("REPORT_RECIPIENTS", "team@vestnik.example"),  # without a sender
        ("REPORT_ZONE", "Mars/Olympus"),
    ],
)
def test_a_variable_that_does_not_parse_is_named(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        parse(Tuning, LOCAL | {variable: value})


def test_provider_and_issuer_may_be_on_plain_http_where_their_hosts_are_named() -> None:
    given = {"PROVIDER_URL": "http://provider:8080", "ISSUER_URL": "http://issuer.localhost:8090"}
    settings = parse(Tuning, given | {"PLAIN_HTTP_HOSTS": "provider, issuer.localhost"})
    assert (settings.provider_url, settings.issuer_url) == ("http://provider:8080", "http://issuer.localhost:8090")
    assert parse(Tuning, LOCAL).plain_http_hosts == ()


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("PROVIDER_URL", "http://provider.example"),  # of which `provider` is only a part
        ("PROVIDER_URL", "http://other"),
        ("PROVIDER_URL", "http://127.0.0.2"),
        ("PROVIDER_URL", "http://provider@other"),
        ("ISSUER_URL", "http://issuer.provider"),
        ("ADMIN_URL", "http://provider/admin/"),  # which a browser sees, and would send cookies to
        ("CORS_ORIGINS", "http://provider"),
    ],
)
def test_plain_http_is_for_exactly_the_hosts_that_are_named(variable: str, url: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable}.*https"):
        parse(Tuning, LOCAL | {"PLAIN_HTTP_HOSTS": "provider", variable: url})


@pytest.mark.parametrize(
    "hosts", ["*", "*.internal", "10.0.0.0/8", "10.0.0.7", "::1", "http://provider", "provider:80", "Provider", "a,,b"]
)
def test_hosts_of_plain_http_are_names_and_nothing_else(hosts: str) -> None:
    with pytest.raises(ConfigurationError, match=r"PLAIN_HTTP_HOSTS.*host names"):
        parse(Tuning, LOCAL | {"PLAIN_HTTP_HOSTS": hosts})


def test_recipients_of_the_report_are_listed_with_commas_and_parsed_apart() -> None:
    given = {"REPORT_SENDER": "reports@vestnik.example", "REPORT_RECIPIENTS": "a@one.example, b@two.example"}
    settings = ReportTuning.from_env(given)
    assert settings.report_recipients == ("a@one.example", "b@two.example")
    assert (settings.report_hour, settings.report_zone, settings.report_language) == (8, "UTC", "en")
    assert ReportTuning.from_env({}).report_recipients == ()


def test_wrong_setting_of_the_report_stops_no_other_function() -> None:
    assert Settings.from_env(ENVIRONMENT | {"REPORT_ZONE": "Mars/Olympus"}) == Settings.from_env(ENVIRONMENT)


def test_every_missing_variable_is_named() -> None:
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_env({})
    required = [name.upper() for name, field in Settings.model_fields.items() if field.is_required()]
    assert [name for name in required if name not in str(raised.value)] == []


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("https://app.example", ("https://app.example",)),
        (
            "https://app.example:8443, http://localhost:3000,http://127.0.0.1",
            ("https://app.example:8443", "http://localhost:3000", "http://127.0.0.1"),
        ),
        ("", ()),
    ],
)
def test_origins_are_listed_with_commas(given: str, origins: tuple[str, ...]) -> None:
    assert parse(Tuning, LOCAL | {"CORS_ORIGINS": given}).cors_origins == origins


@pytest.mark.parametrize(
    "given",
    [
        "*",
        "null",
        "app.example",
        "http://app.example",
        "https://app.example/",
        "https://app.example/path",
        "https://App.example",
        "https://*.example",
        "https://user@app.example",
        "https://app.example,",
        "https://app.example;https://other.example",
    ],
)
def test_what_is_no_origin_is_named(given: str) -> None:
    with pytest.raises(ConfigurationError, match="CORS_ORIGINS"):
        parse(Tuning, LOCAL | {"CORS_ORIGINS": given})


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        (None, True),
        ("", True),
        ("vestnik-api", True),
        ("sender", True),
        ("vestnik-sender-api", True),
        ("vestnik-sender", False),
        ("vestnik-dev-plan-segment", False),
    ],
)
def test_a_function_that_events_call_answers_no_requests(name: str | None, answers: bool) -> None:  # noqa: FBT001 - a column
    assert answers_requests({} if name is None else {"AWS_LAMBDA_FUNCTION_NAME": name}) is answers
