"""People's JSON: requests and responses."""

import re
from datetime import datetime
from typing import Annotated, Self
from urllib.parse import urlsplit
from uuid import UUID

import idna
from pydantic import AfterValidator, ConfigDict, Field, SecretStr, StringConstraints, model_validator, with_config
from typing_extensions import TypedDict

from api.http.schema_types import RequestModel, ResponseModel
from api.people.passwords import MAX_BYTES, MIN_CHARACTERS, normalize, rejection_reason
from models.domain.actors import SignUpRole
from models.domain.blocked_times import CalendarProblem
from models.domain.money import Money
from models.domain.states import BookingStatus
from models.domain.visible_text import visible, without_web_address
from models.domain.zones import names
from models.languages import LANGUAGES, find

# As browsers validate an e-mail field (WHATWG HTML, "valid email address"), within RFC 5321's lengths. Dots are allowed
# only between other characters, as a mail header requires (RFC 5322, dot-atom).
_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+"
)
_ADDRESS_LENGTH = 254
TIME_ZONES = names()


def address(text: str) -> str:
    """The address in lower case, its domain as in the DNS, so that it is unique however it is written.

    An internationalized domain becomes its A-label (`bücher.example`: `xn--bcher-kva.example`, RFC 5891 after UTS 46),
    to which every mail server can send. Raises `ValueError`.
    """
    local, _, domain = text.strip().lower().rpartition("@")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True, std3_rules=True).decode()
        except idna.IDNAError as error:
            raise ValueError("is not an email address") from error
    lowered = f"{local}@{domain}"
    if len(lowered) > _ADDRESS_LENGTH or not _ADDRESS.fullmatch(lowered):
        raise ValueError("is not an email address")
    return lowered


def _time_zone(name: str) -> str:
    if name not in TIME_ZONES:
        raise ValueError("is not the name of an IANA time zone, such as Europe/Berlin")
    return name


def _language(tag: str) -> str:
    """In the usual case, `de-AT` (RFC 5646, section 2.1.1). Raises `ValueError` if no catalogue has its language."""
    if find(tag) is None:
        raise ValueError(f"is not a language that emails are written in; there are: {', '.join(sorted(LANGUAGES))}")
    first, *others = tag.split("-")
    cased = (part.upper() if len(part) == 2 else part.title() if len(part) == 4 else part.lower() for part in others)
    return "-".join((first.lower(), *cased))


def _is_unicode(password: SecretStr) -> SecretStr:
    """JSON can contain a lone surrogate, which pydantic rejects in `str` but not in `SecretStr`."""
    if any("\ud800" <= character <= "\udfff" for character in password.get_secret_value()):
        raise ValueError("is not Unicode text")
    return password


Email = Annotated[str, Field(max_length=320, json_schema_extra={"format": "email"}), AfterValidator(address)]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"),
    AfterValidator(visible),
    AfterValidator(without_web_address),
]
TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_time_zone)]
Language = Annotated[
    str,
    StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"),
    AfterValidator(_language),
]
"""A BCP 47 tag. Its region is kept, also if the texts are those of the language in general."""
Password = Annotated[SecretStr, Field(max_length=1024), AfterValidator(_is_unicode)]
ChosenPassword = Annotated[Password, Field(json_schema_extra={"minLength": MIN_CHARACTERS, "maxLength": MAX_BYTES})]
"""Checked after normalization, and against its owner's address and name. Here the limits are only declared."""


class SignUp(RequestModel):
    email: Email
    """The address to sign in with. Stored in lower case."""
    password: ChosenPassword
    """At least 15 characters and at most 128 bytes, of any kind."""
    name: Name
    """Shown to the other side of a booking, and on receipts."""
    role: SignUpRole
    """What the account is for. The other role can be added later."""
    time_zone: TimeZone = "UTC"
    """An IANA time zone, such as `Europe/Berlin`."""
    language: Language = "en"
    """A BCP 47 tag, such as `de-AT`: the language of emails and receipts."""

    @model_validator(mode="after")
    def _password_is_allowed(self) -> Self:
        reason = rejection_reason(normalize(self.password.get_secret_value()), self.email, self.name)
        if reason:
            raise ValueError(f"password {reason}")
        return self


class SignIn(RequestModel):
    email: Email
    """The account's address."""
    password: Password
    """The account's password."""
    role: SignUpRole | None = None
    """The role of the token, for an account with both. By default the one signed up for."""


class PasswordResetRequest(RequestModel):
    email: Email
    """The account's address."""


class EmailVerification(RequestModel):
    token: Annotated[SecretStr, Field(max_length=128)]
    """The fragment (after `#`) of the mailed link."""


class NewPassword(RequestModel):
    token: Annotated[SecretStr, Field(max_length=128)]
    """The fragment (after `#`) of the mailed link."""
    password: ChosenPassword
    """As at sign-up."""


class PasswordChange(RequestModel):
    current_password: Password
    """The password so far."""
    new_password: ChosenPassword
    """As at sign-up."""


@with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
class AccountChange(TypedDict, total=False):
    """Fields that are not sent stay unchanged."""

    name: Name
    """Shown to the other side of a booking, and on receipts."""
    time_zone: TimeZone
    """An IANA time zone, such as `Europe/Berlin`. Emails and receipts use it."""
    language: Language
    """A BCP 47 tag, such as `de-AT`. Emails and receipts use it."""


class AdditionalRole(RequestModel):
    role: SignUpRole
    """The role to add."""


class PersonalAccount(ResponseModel):
    id: UUID
    """The person's id."""
    role: SignUpRole
    """The role of the token; after sign-up, the role signed up for."""
    roles: list[SignUpRole]
    """Every role that the account has. A token has one of them."""
    email: str
    """The account's address."""
    name: str
    """The display name."""
    time_zone: str
    """An IANA time zone, such as `Europe/Berlin`."""
    language: str
    """A BCP 47 tag, such as `de` or `pt-BR`: the language of emails and receipts."""
    created_at: datetime
    """When the account was created."""


class Token(ResponseModel):
    """An OAuth 2 access token response (RFC 6750, section 4)."""

    access_token: str
    """Send it as `Authorization: Bearer …`."""
    token_type: str = "Bearer"  # noqa: S105 - a scheme's name
    """Always `Bearer`."""
    expires_in: int
    """In seconds. After that, sign in again."""


class InstructorProfile(ResponseModel):
    id: UUID
    """The instructor's id."""
    name: str
    """The display name."""
    time_zone: str
    """An IANA time zone, such as `Europe/Berlin`."""


class PaymentCapability(ResponseModel):
    """Whether Stripe allows the instructor to be paid, and so to be booked."""

    can_be_paid: bool
    """Whether Stripe allows transfers to the instructor."""
    requirements: list[str]
    """What Stripe still requires, by its names for it; its onboarding form asks for it."""
    disabled_reason: str | None
    """Stripe's, or `onboarding_not_started`, `transfers_pending`, `transfers_inactive`, `account_gone`."""
    balances: list[Money]
    """The Stripe balance in each currency. Negative after a refund or a dispute of money already paid out."""


class OwnInstructorProfile(InstructorProfile):
    email: str
    """The account's address."""
    created_at: datetime
    """When the account was created."""
    payments: PaymentCapability
    """Whether the instructor can be paid."""


def _calendar_url(url: str) -> str:
    """Calendar programs copy addresses that begin with `webcal:`, which means https."""
    if url.lower().startswith("webcal://"):
        url = f"https://{url[len('webcal://') :]}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ValueError("must be the https or webcal address of a calendar")
    if parts.username or parts.password:
        raise ValueError("must have no user name: use the calendar's secret address")
    parts.port  # noqa: B018 - raises ValueError for a port that is none
    return url


class CalendarAddress(RequestModel):
    url: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000), AfterValidator(_calendar_url)]
    """The secret address of the calendar in iCalendar format (`https:` or `webcal:`). It must be public."""


class InstructorCalendarState(ResponseModel):
    host: str
    """The server in the calendar's address."""
    read_at: datetime | None
    """When it was last read; `null` before the first time."""
    problem: CalendarProblem | None
    """Why the last attempt failed; the times of `read_at` then stay blocked."""


class PersonForOperator(ResponseModel):
    id: UUID
    """The person's id."""
    role: SignUpRole
    """The role of this row: an account with both has two."""
    email: str
    """The account's address."""
    name: str
    """The display name."""
    time_zone: str
    """An IANA time zone, such as `Europe/Berlin`."""
    created_at: datetime
    """When the role was added."""
    suspended_at: datetime | None
    """`null` unless they are suspended."""


class PersonPage(ResponseModel):
    data: list[PersonForOperator]
    """The items of this page."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


class OpenBooking(ResponseModel):
    id: UUID
    """The booking's id."""
    status: BookingStatus
    """Its current state."""
    title: str
    """The offering's title, when it was booked."""
    student_id: UUID
    """The student."""
    instructor_id: UUID
    """The instructor."""
    starts_at: datetime
    """When the session starts."""
    ends_at: datetime
    """When the session ends."""
    needs_attention: bool
    """Whether it waits for an operator."""


class Suspension(ResponseModel):
    id: UUID
    """The person's."""
    suspended_at: datetime | None
    """`null` once they are reinstated."""
    open_bookings: list[OpenBooking]
    """The first 100, earliest session first. They continue until they end, or until an operator releases them."""


class OnboardingLink(ResponseModel):
    url: str
    """Single-use, for this instructor only: do not share it."""
    expires_at: datetime
    """When it stops working."""
