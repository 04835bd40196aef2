"""People's JSON: requests and responses."""

import re
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import idna
from pydantic import AfterValidator, ConfigDict, Field, SecretStr, StringConstraints, model_validator, with_config
from typing_extensions import TypedDict

from api.http.schema_types import RequestModel, ResponseModel
from api.people.passwords import normalize, rejection_reason
from models.domain.actors import SignUpRole
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


Email = Annotated[str, Field(max_length=320), AfterValidator(address)]
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


class SignUp(RequestModel):
    email: Email
    password: Password
    """At least 15 characters and at most 128 bytes, of any kind."""
    name: Name
    role: SignUpRole
    time_zone: TimeZone = "UTC"
    language: Language = "en"

    @model_validator(mode="after")
    def _password_is_allowed(self) -> Self:
        reason = rejection_reason(normalize(self.password.get_secret_value()), self.email, self.name)
        if reason:
            raise ValueError(f"password {reason}")
        return self


class SignIn(RequestModel):
    email: Email
    password: Password
    role: SignUpRole | None = None
    """The role of the token, for an account with both. By default the one signed up for."""


class PasswordForgotten(RequestModel):
    email: Email


class Verification(RequestModel):
    token: Annotated[SecretStr, Field(max_length=128)]
    """The fragment (after `#`) of the mailed link."""


class NewPassword(RequestModel):
    token: Annotated[SecretStr, Field(max_length=128)]
    """The fragment (after `#`) of the mailed link."""
    password: Password
    """As at sign-up."""


class PasswordChange(RequestModel):
    current_password: Password
    new_password: Password
    """As at sign-up."""


@with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
class AccountChange(TypedDict, total=False):
    """Fields that are not sent stay unchanged."""

    name: Name
    time_zone: TimeZone
    language: Language


class AdditionalRole(RequestModel):
    role: SignUpRole


class PersonalAccount(ResponseModel):
    id: UUID
    role: SignUpRole
    """The role of the token; after sign-up, the role signed up for."""
    roles: list[SignUpRole]
    """Every role that the account has. A token has one of them."""
    email: str
    name: str
    time_zone: str
    language: str
    """A BCP 47 tag, such as `de` or `pt-BR`: the language of emails and receipts."""
    created_at: datetime


class Token(ResponseModel):
    """An OAuth 2 access token response (RFC 6750, section 4)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a scheme's name
    expires_in: int
    """In seconds. After that, sign in again."""


class InstructorProfile(ResponseModel):
    id: UUID
    name: str
    time_zone: str


class Payments(ResponseModel):
    """Whether Stripe allows the instructor to be paid, and so to be booked."""

    can_be_paid: bool
    requirements: list[str]
    """What Stripe still requires, by its names for it; its onboarding form asks for it."""
    disabled_reason: str | None
    """Stripe's, or `onboarding_not_started`, `transfers_pending`, `transfers_inactive`, `account_gone`."""
    balances: list[Money]
    """The Stripe balance in each currency. Negative after a refund or a dispute of money already paid out."""


class OwnProfile(InstructorProfile):
    email: str
    created_at: datetime
    payments: Payments


class PersonForOperator(ResponseModel):
    id: UUID
    role: SignUpRole
    email: str
    name: str
    time_zone: str
    created_at: datetime
    suspended_at: datetime | None
    """`null` unless they are suspended."""


class PersonPage(ResponseModel):
    data: list[PersonForOperator]
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


class OpenBooking(ResponseModel):
    id: UUID
    status: BookingStatus
    title: str
    student_id: UUID
    instructor_id: UUID
    starts_at: datetime
    ends_at: datetime
    needs_attention: bool


class Suspension(ResponseModel):
    id: UUID
    """The person's."""
    suspended_at: datetime | None
    """`null` once they are reinstated."""
    open_bookings: list[OpenBooking]
    """The first 100, earliest session first. They continue until they end, or until an operator releases them."""


class Link(ResponseModel):
    url: str
    """Single-use, for this instructor only: do not share it."""
    expires_at: datetime
