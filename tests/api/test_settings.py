import pytest
from pydantic import ValidationError

from api.settings import HttpSettings, TaxReportingSettings

GOOD = {
    "holdfast_token_secret": "0123456789abcdef0123456789abcdef",
    "stripe_webhook_secret": "whsec_one",
    "stripe_connect_webhook_secret": "whsec_two",
    "holdfast_public_url": "https://holdfast.example",
}


def channel(name: str, value: str) -> HttpSettings:
    return HttpSettings.model_validate(GOOD | {name: value})


def test_several_webhook_secrets_stand_side_by_side_while_one_is_rotated() -> None:
    assert channel("stripe_webhook_secret", "whsec_old, whsec_new").webhook_secrets == ("whsec_old", "whsec_new")


def test_origins_are_a_list_and_none_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name.upper(), value)
    assert HttpSettings().holdfast_cors_origins == ()
    for given in ("https://app.example, http://localhost:5173", "https://app.example,http://localhost:5173,"):
        monkeypatch.setenv("HOLDFAST_CORS_ORIGINS", given)
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
        ("holdfast_public_url", "holdfast.example"),
        ("holdfast_public_url", "ftp://holdfast.example"),
    ],
)
def test_an_insecure_or_broken_setting_stops_the_start_up(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        channel(name, value)


def test_a_refused_secret_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ValidationError) as refused:
        channel("holdfast_token_secret", "short but secret")
    assert "short but secret" not in str(refused.value)


def test_a_missing_secret_stops_the_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(ValidationError) as refused:
        HttpSettings()
    assert {error["loc"][0] for error in refused.value.errors()} == set(GOOD)


def test_the_thresholds_of_filings_are_the_laws_until_somebody_sets_others(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = TaxReportingSettings()
    assert (unset.form_1099k_gross_minor, unset.form_1099k_transactions) == (2_000_000, 200)
    assert (unset.dac7_consideration_minor, unset.dac7_activities) == (0, 1)
    monkeypatch.setenv("HOLDFAST_FORM_1099K_TRANSACTIONS", "0")
    monkeypatch.setenv("HOLDFAST_DAC7_ACTIVITIES", "30")
    assert (TaxReportingSettings().form_1099k_transactions, TaxReportingSettings().dac7_activities) == (0, 30)
    monkeypatch.setenv("HOLDFAST_DAC7_ACTIVITIES", "0")
    with pytest.raises(ValidationError):
        TaxReportingSettings()
