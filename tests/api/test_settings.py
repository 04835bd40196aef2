import pytest
from pydantic import ValidationError

from api.settings import HttpSettings, TaxReportingSettings

GOOD = {
    "holdfast_token_secret": "0123456789abcdef0123456789abcdef",
    "stripe_webhook_secret": "whsec_one",
    "stripe_connect_webhook_secret": "whsec_two",
    "holdfast_public_url": "https://holdfast.example",
}


def http_settings(name: str, value: str) -> HttpSettings:
    return HttpSettings.model_validate(GOOD | {name: value})


def test_two_webhook_secrets_are_accepted_during_a_rotation() -> None:
    assert http_settings("stripe_webhook_secret", "whsec_old, whsec_new").webhook_secrets == ("whsec_old", "whsec_new")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("api.internal:9090", ("api.internal", 9090)), ("[::1]:9090", ("::1", 9090)), ("", None)],
)
def test_the_metrics_address_is_host_and_port_or_none(value: str, expected: tuple[str, int] | None) -> None:
    assert http_settings("holdfast_api_metrics_address", value).metrics_address == expected


def test_origins_are_a_comma_separated_list_and_empty_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name.upper(), value)
    assert HttpSettings().holdfast_cors_origins == ()
    for value in ("https://app.example, http://localhost:5173", "https://app.example,http://localhost:5173,"):
        monkeypatch.setenv("HOLDFAST_CORS_ORIGINS", value)
        assert HttpSettings().holdfast_cors_origins == ("https://app.example", "http://localhost:5173")
    monkeypatch.setenv("HOLDFAST_CORS_ORIGINS", "")
    assert HttpSettings().holdfast_cors_origins == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("holdfast_cors_origins", origin)
            for origin in (
                "*",
                "https://*.example",
                "https://app.example/",
                "app.example",
                "null",
                "HTTPS://App.example",
            )
        ),
        ("holdfast_token_secret", ""),
        ("holdfast_token_secret", "0123456789abcdef0123456789abcde"),
        ("holdfast_token_secret", "0123456789abcdef0123456789abcdef,too short"),
        ("holdfast_token_secret", "0123456789abcdef0123456789abcdef,"),
        ("stripe_webhook_secret", ""),
        ("stripe_webhook_secret", "   "),
        ("stripe_webhook_secret", "whsec_one,"),
        ("stripe_connect_webhook_secret", ""),
        ("stripe_connect_webhook_secret", ",whsec_two"),
        ("holdfast_api_metrics_address", "9090"),
        ("holdfast_limits_url", "memory://"),
        ("holdfast_limits_url", "redis://"),
        ("holdfast_api_metrics_address", "host:port"),
        ("holdfast_public_url", "holdfast.example"),
        ("holdfast_public_url", "ftp://holdfast.example"),
    ],
)
def test_an_insecure_or_malformed_setting_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        http_settings(name, value)


def test_a_refused_secret_is_not_in_the_error() -> None:
    with pytest.raises(ValidationError) as refused:
        http_settings("holdfast_token_secret", "short but secret")
    assert "short but secret" not in str(refused.value)


def test_every_required_setting_is_reported_if_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(ValidationError) as refused:
        HttpSettings()
    assert {error["loc"][0] for error in refused.value.errors()} == set(GOOD)


def test_tax_thresholds_default_to_the_law_and_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = TaxReportingSettings()
    assert (unset.form_1099k_gross_minor, unset.form_1099k_transactions) == (2_000_000, 200)
    assert (unset.dac7_consideration_minor, unset.dac7_activities) == (0, 1)
    monkeypatch.setenv("HOLDFAST_FORM_1099K_TRANSACTIONS", "0")
    monkeypatch.setenv("HOLDFAST_DAC7_ACTIVITIES", "30")
    assert (TaxReportingSettings().form_1099k_transactions, TaxReportingSettings().dac7_activities) == (0, 30)
    monkeypatch.setenv("HOLDFAST_DAC7_ACTIVITIES", "0")
    with pytest.raises(ValidationError):
        TaxReportingSettings()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"holdfast_env": "production"}, True),
        ({"holdfast_env": "development"}, False),
        ({"stripe_livemode": "false"}, False),
        ({"holdfast_env": "development", "stripe_livemode": "true"}, True),
    ],
)
def test_the_stripe_mode_is_live_in_production_unless_it_is_set(given: dict[str, str], expected: bool) -> None:
    assert HttpSettings.model_validate(GOOD | given).is_livemode is expected
