"""Mails about a person's account: passwords, and the verification of the address."""

import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.mail.content import MailContent, MailDiscarded, reader_of
from models.domain.notifications import NotificationKind, Recipient
from models.domain.zones import zone
from models.languages import Language, language
from models.session_calendar import reset_url, verification_url
from models.tables.credentials import (
    RESET_LASTS,
    VERIFICATION_LASTS,
    AddressVerification,
    PasswordReset,
    token_hash,
)
from models.tables.outbox import OutboxMessage
from models.tables.people import Instructor, Student

_LINK_LASTS = {
    NotificationKind.PASSWORD_RESET: RESET_LASTS,
    NotificationKind.ADDRESS_VERIFICATION: VERIFICATION_LASTS,
}


async def about_account(session: AsyncSession, message: OutboxMessage, public_url: str, now: datetime) -> MailContent:
    to_student = message.recipient_role is Recipient.STUDENT
    person: Student | Instructor | None = await session.get(Student if to_student else Instructor, message.recipient_id)
    if person is None:
        raise MailDiscarded("no_recipient")
    reads, time_zone = language(person.language), zone(person.time_zone)
    expires_at = message.created_at + _LINK_LASTS.get(message.kind, timedelta(0))
    if message.kind in _LINK_LASTS and now >= expires_at:
        raise MailDiscarded("out_of_date")
    is_verification = message.kind is NotificationKind.ADDRESS_VERIFICATION
    return MailContent(
        notification=message.kind,
        language=reads,
        # Whoever signed up chose the name, and the address may be somebody else's.
        reader=reader_of(person, is_named=not is_verification),
        variables={
            "at": reads.time(message.created_at, time_zone),
            "until": reads.time(expires_at, time_zone),
        },
        details=[],
        links=list(_account_links(session, message, person, reads, public_url, expires_at)),
        appointment=None,
    )


def _account_links(
    session: AsyncSession,
    message: OutboxMessage,
    person: Student | Instructor,
    reads: Language,
    public_url: str,
    expires_at: datetime,
) -> Iterator[tuple[str, str]]:
    """With a token for this mail. Only its hash is stored, so each attempt to send the mail creates another token."""
    token = secrets.token_urlsafe()
    match message.kind:
        case NotificationKind.PASSWORD_RESET:
            session.add(
                PasswordReset(
                    token_hash=token_hash(token),
                    person_id=person.id,
                    generation=message.facts["generation"],
                    expires_at=expires_at,
                )
            )
            yield reads.gettext("Choose a new password"), reset_url(public_url, token, reads.code)
        case NotificationKind.ADDRESS_VERIFICATION:
            session.add(AddressVerification(token_hash=token_hash(token), student_id=person.id, expires_at=expires_at))
            yield reads.gettext("Confirm email address"), verification_url(public_url, token, reads.code)
