import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from api.meeting_provider import JaasSettings, JitsiSettings, MeetingSettings, meetings_from_environment
from models.domain.attendance import MeetingProvider

APP = "vpaas-magic-cookie-1"
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
LOCKED_PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
CURVE_PEM = (
    ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
)
JITSI = {
    "jitsi_url": "https://meet.example.org",
    "jitsi_app_id": "holdfast",
    "jitsi_secret": "0123456789abcdef0123456789abcdef",
}
JAAS = {"jaas_app_id": APP, "jaas_key_id": f"{APP}/4f4910", "jaas_private_key": PEM}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without whatever the developer's shell holds."""
    for name in ("meeting_provider", "meeting_webhook_secret", *JITSI, *JAAS):
        monkeypatch.delenv(f"HOLDFAST_{name.upper()}", raising=False)
    return monkeypatch


@pytest.mark.parametrize(("provider", "values"), [(MeetingProvider.JITSI, JITSI), (MeetingProvider.JAAS, JAAS)])
def test_the_environment_says_whose_meetings_they_are(
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


def test_without_a_provider_there_are_no_meetings_and_no_report_is_believed() -> None:
    settings = MeetingSettings()
    assert meetings_from_environment(settings) is None
    assert settings.webhook_secrets == ()


def test_two_secrets_are_good_while_one_is_replaced() -> None:
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
def test_an_unsafe_jitsi_stops_the_start_up(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=name):
        JitsiSettings.model_validate(JITSI | {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jaas_app_id", ""),
        ("jaas_key_id", "4f4910"),
        ("jaas_key_id", "vpaas-magic-cookie-10/4f4910"),
        ("jaas_private_key", "not a key"),
        ("jaas_private_key", LOCKED_PEM),
        ("jaas_private_key", CURVE_PEM),
    ],
)
def test_an_unusable_key_of_8x8_stops_the_start_up(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=r"(?i)" + name) as refused:
        JaasSettings.model_validate(JAAS | {name: value})
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
def test_an_unsafe_setting_of_the_meetings_stops_the_start_up(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=name):
        MeetingSettings.model_validate({name: value})
