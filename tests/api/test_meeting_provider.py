from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.meeting_provider import Admission, JaasMeetings, JitsiMeetings, Meetings

NOW = datetime.now(UTC).replace(microsecond=0)
ADA = UUID("0198c0de-0000-7000-8000-000000000001")
APP = "vpaas-magic-cookie-1fc542a3e4414a44b2611668195e2bfe"
SECRET = "the meetings' secret, which is long enough"  # noqa: S105
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
JITSI = JitsiMeetings("https://meet.example.org:8443/", "holdfast", SECRET)
JAAS = JaasMeetings(APP, f"{APP}/4f4910", PEM)


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


def token(meetings: Meetings, whose: Admission) -> str:
    return parse_qs(urlsplit(meetings.link(whose)).query)["jwt"][0]


def claims(meetings: Meetings, whose: Admission) -> dict[str, Any]:
    """As the provider reads them: the signature, the audience and the times are checked."""
    if isinstance(meetings, JaasMeetings):
        return jwt.decode(token(meetings, whose), KEY.public_key(), algorithms=["RS256"], audience="jitsi")
    return jwt.decode(token(meetings, whose), SECRET, algorithms=["HS256"], audience="holdfast")


def test_a_jitsi_of_ones_own_gets_what_prosody_checks() -> None:
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


def test_8x8_gets_what_its_documentation_says() -> None:
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
def test_only_a_moderator_may_record_and_only_what_is_to_be_recorded(
    meetings: Meetings, is_moderator: bool, is_recorded: bool
) -> None:
    found = claims(meetings, admission(is_moderator=is_moderator, is_recorded=is_recorded))
    features = found["context"]["features"]
    assert features.pop("recording") == ("true" if is_moderator and is_recorded else "false")
    assert set(features.values()) == {"false"}


@pytest.mark.parametrize(
    ("meetings", "claim", "words"),
    [(JITSI, "affiliation", ("owner", "member")), (JAAS, "moderator", ("true", "false"))],
)
def test_the_moderator_is_told_from_the_other(meetings: Meetings, claim: str, words: tuple[str, str]) -> None:
    found = [claims(meetings, admission(is_moderator=is_it))["context"]["user"][claim] for is_it in (True, False)]
    assert tuple(found) == words


@pytest.mark.parametrize("meetings", [JITSI, JAAS])
def test_nothing_personal_but_the_name_leaves_with_a_token(meetings: Meetings) -> None:
    assert "@" not in str(claims(meetings, admission()))


@pytest.mark.parametrize("meetings", [JITSI, JAAS])
def test_what_signs_is_not_in_what_is_printed(meetings: Meetings) -> None:
    assert SECRET not in repr(meetings)
    assert "PRIVATE KEY" not in repr(meetings)
