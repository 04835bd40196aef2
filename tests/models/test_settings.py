"""Insecure or contradictory settings stop the start-up, and no error or repr shows a secret."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from models.domain.money import Rounding
from models.domain.policy import STRICT, BookingPolicy, CompletionTimeoutPolicy, Deadlines, FraudWarningPolicy
from models.settings import (
    Environment,
    MailSettings,
    PolicySettings,
    RuntimeSettings,
    SmtpSecurity,
    StripeSettings,
)

CANARY = "tellnobody"
SELF_HOSTING = Path(__file__).parents[2] / "docs" / "operations" / "self-hosting.md"
VARIABLES = ("HOLDFAST_ENV", "STRIPE_API_KEY", "STRIPE_API_BASE", "DATABASE_URL", "HOLDFAST_TASK_QUEUE")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = (f"HOLDFAST_{name.upper()}" for name in PolicySettings.model_fields)
    mail = (name.upper() for name in MailSettings.model_fields)
    for variable in (*VARIABLES, *policy, *mail):
        monkeypatch.delenv(variable, raising=False)


def _set(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)


@pytest.mark.parametrize(
    ("key", "base", "environment", "message"),
    [
        (f"pk_test_{CANARY}", None, "development", "must start with"),
        (CANARY, None, "development", "must start with"),
        ("", None, "development", "must start with"),
        (f"sk_live_{CANARY}", "http://127.0.0.1:1", "development", "beside a live key"),
        (f"rk_live_{CANARY}", "http://127.0.0.1:1", "development", "beside a live key"),
        (f"sk_test_{CANARY}", "http://127.0.0.1:1", "production", "HOLDFAST_ENV=production"),
        (f"sk_test_{CANARY}", "http://127.0.0.1:1", None, "HOLDFAST_ENV=production"),
        (f"sk_test_{CANARY}", "http://stripe.example", "development", "on this machine"),
        (f"sk_test_{CANARY}", "http://127.0.0.1@stripe.example", "development", "on this machine"),
        (f"sk_test_{CANARY}", "127.0.0.1:1", "development", "on this machine"),
        (f"sk_live_{CANARY}", "http://stripe-sandbox:8020", "development", "beside a live key"),
        (f"sk_test_{CANARY}", "http://stripe-sandbox:8020", "production", "HOLDFAST_ENV=production"),
        (f"sk_test_{CANARY}", "http://stripe-sandbox.example", "development", "on this machine"),
        (f"sk_test_{CANARY}", None, "staging", "'production'"),
    ],
)
def test_unsafe_stripe_settings_are_refused_without_showing_the_key(
    monkeypatch: pytest.MonkeyPatch, key: str, base: str | None, environment: str | None, message: str
) -> None:
    environment_variables = {"STRIPE_API_KEY": key, "STRIPE_API_BASE": base, "HOLDFAST_ENV": environment}
    _set(monkeypatch, {variable: value for variable, value in environment_variables.items() if value is not None})
    with pytest.raises(ValidationError, match=message) as caught:
        StripeSettings()
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value)


@pytest.mark.parametrize(
    "base",
    ["http://127.0.0.1:8420", "http://localhost:8420", "http://[::1]:8420", "http://stripe-sandbox:8020"],
)
def test_test_key_may_be_sent_to_a_local_sandbox(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    _set(
        monkeypatch,
        {"STRIPE_API_KEY": f"sk_test_{CANARY}", "STRIPE_API_BASE": base, "HOLDFAST_ENV": "development"},
    )
    settings = StripeSettings()
    assert settings.stripe_api_base == base
    assert CANARY not in repr(settings)


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1", "sk_test_1", "rk_test_1"])
def test_any_secret_key_may_be_sent_to_stripe_and_production_is_the_default(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    _set(monkeypatch, {"STRIPE_API_KEY": key})
    settings = StripeSettings()
    assert settings.stripe_api_base is None
    assert settings.holdfast_env is Environment.PRODUCTION


def test_missing_key_is_named_in_the_error() -> None:
    with pytest.raises(ValidationError, match="stripe_api_key"):
        StripeSettings()


def test_database_url_is_required_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="database_url"):
        RuntimeSettings()
    monkeypatch.setenv("DATABASE_URL", f"postgresql+psycopg://holdfast:{CANARY}@db.example/holdfast")
    assert CANARY not in repr(RuntimeSettings())


def test_default_policy_has_the_offerings_tiers() -> None:
    a_day_to_contest = Deadlines(contest_window=timedelta(days=1), objection_window=timedelta(days=1))
    assert PolicySettings().freeze(STRICT) == BookingPolicy(cancellation=STRICT, deadlines=a_day_to_contest)


def test_policy_settings_are_frozen_into_a_booking(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(
        monkeypatch,
        {
            "HOLDFAST_FEE_BPS": "1500",
            "HOLDFAST_FEE_TAX_BPS": "1900",
            "HOLDFAST_ROUNDING": "DOWN",
            "HOLDFAST_ON_COMPLETION_TIMEOUT": "SETTLE",
            "HOLDFAST_ON_FRAUD_WARNING": "REFUND",
            "HOLDFAST_STUDENT_ABSENT_KEPT_BPS": "10000",
            "HOLDFAST_APPROVAL_WINDOW": "P2D",
            "HOLDFAST_HOLD_MARGIN": "PT2S",
        },
    )
    policy = PolicySettings().freeze(STRICT)
    assert (policy.fee_bps, policy.rounding, policy.on_completion_timeout) == (
        1_500,
        Rounding.DOWN,
        CompletionTimeoutPolicy.SETTLE,
    )
    assert policy.on_fraud_warning is FraudWarningPolicy.REFUND
    assert policy.student_absent_kept_bps == 10_000
    assert policy.fee_tax_bps == 1_900
    assert policy.deadlines.approval_window == timedelta(days=2)
    assert policy.deadlines.hold_margin == timedelta(seconds=2)


@pytest.mark.parametrize(
    ("country", "at_most", "days"),
    [(None, None, 90), ("DE", None, 90), ("US", None, 730), ("TH", None, 10), ("US", "P60D", 60), ("TH", "P60D", 10),
     (None, "PT0S", 0)],
)  # fmt: skip
def test_funds_are_kept_as_long_as_the_country_allows_or_less(
    monkeypatch: pytest.MonkeyPatch, country: str | None, at_most: str | None, days: int
) -> None:
    values = {"HOLDFAST_PLATFORM_COUNTRY": country, "HOLDFAST_FUNDS_KEPT_AT_MOST": at_most}
    _set(monkeypatch, {name: value for name, value in values.items() if value is not None})
    assert PolicySettings().freeze(STRICT).deadlines.holding_limit == timedelta(days=days)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HOLDFAST_FEE_BPS", "10001"), ("HOLDFAST_FEE_BPS", "-1"), ("HOLDFAST_FEE_TAX_BPS", "10001"),
     ("HOLDFAST_ROUNDING", "UP"),
     ("HOLDFAST_APPROVAL_WINDOW", "soon"), ("HOLDFAST_PLATFORM_COUNTRY", "usa"), ("HOLDFAST_PLATFORM_COUNTRY", ""),
     ("HOLDFAST_FUNDS_KEPT_AT_MOST", "-P1D"), ("HOLDFAST_RENEWAL_LEAD", "P8D"), ("HOLDFAST_RENEWAL_LEAD", "-PT1H"),
     ("HOLDFAST_LATE_PAYMENT_WINDOW", "P31D"), ("HOLDFAST_LATE_PAYMENT_WINDOW", "-PT1H")],
)  # fmt: skip
def test_invalid_policy_setting_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError):
        PolicySettings()


def _mail(**more: str) -> dict[str, str]:
    return {"HOLDFAST_SMTP_HOST": "smtp.example", "HOLDFAST_MAIL_FROM": "Holdfast <post@holdfast.example>"} | more


LOGIN = {"HOLDFAST_SMTP_USER": "holdfast", "HOLDFAST_SMTP_PASSWORD": CANARY}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "HOLDFAST_SMTP_HOST is missing"),
        ({"HOLDFAST_SMTP_HOST": "smtp.example"}, "HOLDFAST_MAIL_FROM is missing"),
        ({"HOLDFAST_OPERATOR_MAIL": "ops@example.com"}, "HOLDFAST_SMTP_HOST is missing"),
        (_mail(HOLDFAST_OPERATOR_MAIL="Ops <ops@example.com>"), "must be an address"),
        (_mail(HOLDFAST_SMTP_SECURITY="none", **LOGIN), "in the clear"),
        (_mail(HOLDFAST_SMTP_USER="holdfast"), "go together"),
        (_mail(HOLDFAST_SMTP_PASSWORD=CANARY), "go together"),
        (_mail(HOLDFAST_SMTP_SECURITY="ssl"), "'starttls'"),
        (_mail(HOLDFAST_SMTP_PORT="0"), "greater than or equal"),
        (_mail(HOLDFAST_MAIL_FROM="post@holdfast.example"), "Name <name@example.com>"),
        (_mail(HOLDFAST_MAIL_FROM="Holdfast"), "Name <name@example.com>"),
        (_mail(HOLDFAST_MAIL_FROM="Holdfast <post@holdfast.example>\r\nBcc: a@b.example"), "Name <name@example.com>"),
    ],
)
def test_missing_or_unsafe_mail_server_is_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    _set(monkeypatch, environment)
    with pytest.raises(ValidationError, match=message) as caught:
        MailSettings()
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_smtp_login_over_tls_is_accepted_and_not_shown(monkeypatch: pytest.MonkeyPatch, security: str) -> None:
    _set(monkeypatch, _mail(HOLDFAST_SMTP_SECURITY=security, **LOGIN))
    assert CANARY not in repr(MailSettings())


def test_smtp_without_a_login_needs_no_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, _mail(HOLDFAST_SMTP_SECURITY="none"))
    assert MailSettings().holdfast_smtp_security is SmtpSecurity.NONE


def test_smtp_uses_starttls_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, _mail())
    assert MailSettings().holdfast_smtp_security is SmtpSecurity.STARTTLS


def test_development_needs_no_mail_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_ENV", "development")
    assert MailSettings().holdfast_smtp_host is None


def test_the_rules_of_new_bookings_are_by_default_what_operators_read() -> None:
    documented = dict(re.findall(r"\| `HOLDFAST_([A-Z_]+)` \| `([^`]+)` \|", SELF_HOSTING.read_text()))
    checked = set()
    for name, rule in PolicySettings.model_fields.items():
        if (default := documented.get(name.upper())) is not None and default.isupper() | default.isdigit():
            assert TypeAdapter[object](rule.annotation or str).validate_strings(default) == rule.default, name
            checked.add(name)
    assert set(PolicySettings.model_fields) - checked == {"platform_country", "funds_kept_at_most"}
