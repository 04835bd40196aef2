"""Meeting links as the two providers verify them, and the settings that select a provider."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from api.meeting_provider import (
    Admission,
    JaasMeetings,
    JaasSettings,
    JitsiMeetings,
    JitsiSettings,
    Meetings,
    MeetingSettings,
    meetings_from_environment,
)
from models.domain.attendance import MeetingProvider

NOW = datetime.now(UTC).replace(microsecond=0)
ADA = UUID("0198c0de-0000-7000-8000-000000000001")
APP = "vpaas-magic-cookie-1fc542a3e4414a44b2611668195e2bfe"
SECRET = "the meetings' secret, which is long enough"  # noqa: S105
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
ENCRYPTED_PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
EC_PEM = (
    ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
)
JITSI = JitsiMeetings("https://meet.example.org:8443/", "holdfast", SECRET)
JAAS = JaasMeetings(APP, f"{APP}/4f4910", PEM)
JITSI_SETTINGS = {
    "jitsi_url": "https://meet.example.org",
    "jitsi_app_id": "holdfast",
    "jitsi_secret": "0123456789abcdef0123456789abcdef",
}
JAAS_SETTINGS = {"jaas_app_id": APP, "jaas_key_id": f"{APP}/4f4910", "jaas_private_key": PEM}


def admission(*, is_moderator: bool = False, is_recorded: bool = False) -> Admission:
    return Admission(
        room="9f2c",
        person_id=ADA,
        name="Ada Lovelace",
        is_moderator=is_moderator,
        is_recorded=is_recorded,
        not_before=NOW - timedelta(minutes=1),
        expires_at=NOW + timedelta(days=1),
    )


def token(meetings: Meetings, admission: Admission) -> str:
    return parse_qs(urlsplit(meetings.link(admission)).query)["jwt"][0]


def claims(meetings: Meetings, admission: Admission) -> dict[str, Any]:
    """Verified as the provider does: signature, audience and times."""
    if isinstance(meetings, JaasMeetings):
        return jwt.decode(token(meetings, admission), KEY.public_key(), algorithms=["RS256"], audience="jitsi")
    return jwt.decode(token(meetings, admission), SECRET, algorithms=["HS256"], audience="holdfast")


def test_a_jitsi_link_has_the_claims_that_prosody_checks() -> None:
    assert claims(JITSI, admission(is_moderator=True, is_recorded=True)) == {
        "aud": "holdfast",
        "iss": "holdfast",
        "sub": "meet.example.org",
        "room": "9f2c",
        "nbf": int(NOW.timestamp()) - 60,
        "exp": int(NOW.timestamp()) + 86_400,
        "context": {
            "user": {"id": str(ADA), "name": "Ada Lovelace", "affiliation": "owner"},
            "features": {
                "recording": "true",
                "livestreaming": "false",
                "transcription": "false",
                "sip-inbound-call": "false",
                "sip-outbound-call": "false",
                "inbound-call": "false",
                "outbound-call": "false",
            },
        },
    }
    assert urlsplit(JITSI.link(admission()))[:3] == ("https", "meet.example.org:8443", "/9f2c")


def test_a_jaas_link_has_the_claims_that_8x8_documents() -> None:
    found = claims(JAAS, admission(is_moderator=True, is_recorded=True))
    assert (found["aud"], found["iss"], found["sub"], found["room"]) == ("jitsi", "chat", APP, "9f2c")
    assert (found["nbf"], found["exp"]) == (int(NOW.timestamp()) - 60, int(NOW.timestamp()) + 86_400)
    assert found["context"]["user"] == {"id": str(ADA), "name": "Ada Lovelace", "moderator": "true"}
    assert found["context"]["features"]["recording"] == "true"
    header = jwt.get_unverified_header(token(JAAS, admission()))
    assert header == {"alg": "RS256", "kid": f"{APP}/4f4910", "typ": "JWT"}
    assert urlsplit(JAAS.link(admission()))[:3] == ("https", "8x8.vc", f"/{APP}/9f2c")


@pytest.mark.parametrize("meetings", [JITSI, JAAS])
@pytest.mark.parametrize("is_moderator", [True, False])
@pytest.mark.parametrize("is_recorded", [True, False])
def test_only_the_moderator_of_a_recorded_session_may_record(
    meetings: Meetings, is_moderator: bool, is_recorded: bool
) -> None:
    found = claims(meetings, admission(is_moderator=is_moderator, is_recorded=is_recorded))
    features = found["context"]["features"]
    assert features.pop("recording") == ("true" if is_moderator and is_recorded else "false")
    assert set(features.values()) == {"false"}


@pytest.mark.parametrize(
    ("meetings", "claim", "values"),
    [(JITSI, "affiliation", ("owner", "member")), (JAAS, "moderator", ("true", "false"))],
)
def test_the_moderator_is_marked(meetings: Meetings, claim: str, values: tuple[str, str]) -> None:
    found = [
        claims(meetings, admission(is_moderator=is_moderator))["context"]["user"][claim]
        for is_moderator in (True, False)
    ]
    assert tuple(found) == values


@pytest.mark.parametrize("meetings", [JITSI, JAAS])
def test_a_token_has_no_mail_address(meetings: Meetings) -> None:
    assert "@" not in str(claims(meetings, admission()))


@pytest.mark.parametrize("meetings", [JITSI, JAAS])
def test_the_signing_key_is_not_in_the_repr(meetings: Meetings) -> None:
    assert SECRET not in repr(meetings)
    assert "PRIVATE KEY" not in repr(meetings)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Clears the variables that a developer's shell may have set."""
    for name in ("meeting_provider", "meeting_webhook_secret", *JITSI_SETTINGS, *JAAS_SETTINGS):
        monkeypatch.delenv(f"HOLDFAST_{name.upper()}", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("provider", "values"), [(MeetingProvider.JITSI, JITSI_SETTINGS), (MeetingProvider.JAAS, JAAS_SETTINGS)]
)
def test_the_environment_selects_the_provider(
    environment: pytest.MonkeyPatch, provider: MeetingProvider, values: dict[str, str]
) -> None:
    environment.setenv("HOLDFAST_MEETING_PROVIDER", provider)
    with pytest.raises(ValidationError):
        meetings_from_environment(MeetingSettings())
    for name, value in values.items():
        environment.setenv(f"HOLDFAST_{name.upper()}", value)
    meetings = meetings_from_environment(MeetingSettings())
    assert meetings is not None
    assert meetings.provider is provider


def test_without_a_provider_there_are_no_meetings_and_no_webhook_secrets() -> None:
    settings = MeetingSettings()
    assert meetings_from_environment(settings) is None
    assert settings.webhook_secrets == ()


def test_two_webhook_secrets_are_accepted_during_a_rotation() -> None:
    settings = MeetingSettings.model_validate({"meeting_webhook_secret": "whsec_old, whsec_new"})
    assert settings.webhook_secrets == ("whsec_old", "whsec_new")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jitsi_url", "http://meet.example.org"),
        ("jitsi_url", "meet.example.org"),
        ("jitsi_app_id", ""),
        ("jitsi_secret", "0123456789abcdef0123456789abcde"),
    ],
)
def test_an_unsafe_jitsi_setting_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=name):
        JitsiSettings.model_validate(JITSI_SETTINGS | {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jaas_app_id", ""),
        ("jaas_key_id", "4f4910"),
        ("jaas_key_id", f"{APP}0/4f4910"),
        ("jaas_private_key", "not a key"),
        ("jaas_private_key", ENCRYPTED_PEM),
        ("jaas_private_key", EC_PEM),
    ],
)
def test_an_unusable_jaas_key_is_refused_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=r"(?i)" + name) as refused:
        JaasSettings.model_validate(JAAS_SETTINGS | {name: value})
    assert "PRIVATE KEY-----" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("meeting_webhook_secret", ""),
        ("meeting_webhook_secret", "whsec_one,"),
        ("meeting_opens_before", "-PT1M"),
        ("meeting_grace", "PT13H"),
        ("meeting_provider", "zoom"),
    ],
)
def test_an_unsafe_meeting_setting_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=name):
        MeetingSettings.model_validate({name: value})
