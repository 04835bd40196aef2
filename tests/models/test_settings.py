"""Settings that are insecure or contradict each other stop the start-up, and never tell a secret."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from models.money import Rounding
from models.policy import STRICT, BookingPolicy, OnSilence
from models.settings import Environment, PlaceSettings, PolicySettings, StripeSettings

KEYWORD = "tellnobody"
VARIABLES = ("HOLDFAST_ENV", "STRIPE_API_KEY", "STRIPE_API_BASE", "DATABASE_URL", "HOLDFAST_TASK_QUEUE")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*VARIABLES, *(f"HOLDFAST_{name.upper()}" for name in PolicySettings.model_fields)):
        monkeypatch.delenv(variable, raising=False)


def _set(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)


@pytest.mark.parametrize(
    ("key", "base", "environment", "message"),
    [
        (f"pk_test_{KEYWORD}", None, "development", "must start with"),
        (KEYWORD, None, "development", "must start with"),
        ("", None, "development", "must start with"),
        (f"sk_live_{KEYWORD}", "http://127.0.0.1:1", "development", "beside a live key"),
        (f"rk_live_{KEYWORD}", "http://127.0.0.1:1", "development", "beside a live key"),
        (f"sk_test_{KEYWORD}", "http://127.0.0.1:1", "production", "HOLDFAST_ENV=production"),
        (f"sk_test_{KEYWORD}", "http://127.0.0.1:1", None, "HOLDFAST_ENV=production"),
        (f"sk_test_{KEYWORD}", "http://stripe.example", "development", "on this machine"),
        (f"sk_test_{KEYWORD}", "http://127.0.0.1@stripe.example", "development", "on this machine"),
        (f"sk_test_{KEYWORD}", "127.0.0.1:1", "development", "on this machine"),
        (f"sk_test_{KEYWORD}", None, "staging", "'production'"),
    ],
)
def test_a_key_and_a_place_that_do_not_fit_are_refused_without_telling_the_key(
    monkeypatch: pytest.MonkeyPatch, key: str, base: str | None, environment: str | None, message: str
) -> None:
    given = {"STRIPE_API_KEY": key, "STRIPE_API_BASE": base, "HOLDFAST_ENV": environment}
    _set(monkeypatch, {variable: value for variable, value in given.items() if value is not None})
    with pytest.raises(ValidationError, match=message) as caught:
        StripeSettings()
    assert KEYWORD not in str(caught.value)
    assert KEYWORD not in repr(caught.value)


@pytest.mark.parametrize("base", ["http://127.0.0.1:8420", "http://localhost:8420", "http://[::1]:8420"])
def test_a_test_key_may_go_to_a_sandbox_on_this_machine(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    _set(
        monkeypatch,
        {"STRIPE_API_KEY": f"sk_test_{KEYWORD}", "STRIPE_API_BASE": base, "HOLDFAST_ENV": "development"},
    )
    settings = StripeSettings()
    assert settings.stripe_api_base == base
    assert KEYWORD not in repr(settings)


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1", "sk_test_1", "rk_test_1"])
def test_any_secret_key_may_go_to_stripe_and_production_is_the_default(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    _set(monkeypatch, {"STRIPE_API_KEY": key})
    settings = StripeSettings()
    assert settings.stripe_api_base is None
    assert settings.holdfast_env is Environment.PRODUCTION


def test_a_missing_key_is_asked_for_by_its_name() -> None:
    with pytest.raises(ValidationError, match="stripe_api_key"):
        StripeSettings()


def test_where_postgres_is_must_be_said_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="database_url"):
        PlaceSettings()
    monkeypatch.setenv("DATABASE_URL", f"postgresql+psycopg://holdfast:{KEYWORD}@db.example/holdfast")
    assert KEYWORD not in repr(PlaceSettings())


def test_without_settings_the_policy_is_the_default_with_the_offerings_tiers() -> None:
    assert PolicySettings().freeze(STRICT) == BookingPolicy(cancellation=STRICT)


def test_settings_of_the_policy_are_frozen_into_a_booking(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(
        monkeypatch,
        {
            "HOLDFAST_FEE_BPS": "1500",
            "HOLDFAST_ROUNDING": "DOWN",
            "HOLDFAST_ON_SILENCE": "SETTLE",
            "HOLDFAST_STUDENT_ABSENT_KEPT_BPS": "10000",
            "HOLDFAST_APPROVAL_WINDOW": "P2D",
            "HOLDFAST_HOLD_MARGIN": "PT2S",
        },
    )
    policy = PolicySettings().freeze(STRICT)
    assert (policy.fee_bps, policy.rounding, policy.on_silence) == (1_500, Rounding.DOWN, OnSilence.SETTLE)
    assert policy.student_absent_kept_bps == 10_000
    assert policy.deadlines.approval_window == timedelta(days=2)
    assert policy.deadlines.hold_margin == timedelta(seconds=2)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HOLDFAST_FEE_BPS", "10001"), ("HOLDFAST_FEE_BPS", "-1"), ("HOLDFAST_ROUNDING", "UP"),
     ("HOLDFAST_APPROVAL_WINDOW", "soon")],
)  # fmt: skip
def test_a_setting_of_the_policy_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError):
        PolicySettings()
