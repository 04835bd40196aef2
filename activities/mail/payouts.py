"""Mails about payouts. Each is about all bookings that a payout pays."""

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.mail.content import MailContent, MailDiscarded, reader_of
from models.domain.money import Money
from models.domain.notifications import NotificationKind
from models.domain.payouts import failure
from models.languages import language
from models.tables.outbox import OutboxMessage
from models.tables.people import Instructor

_BANK_DETAILS_URL = "https://connect.stripe.com/express_login"


async def about_payout(session: AsyncSession, message: OutboxMessage) -> MailContent:
    instructor = await session.get(Instructor, message.recipient_id)
    if instructor is None:
        raise MailDiscarded("no_recipient")
    facts, reads = message.facts, language(instructor.language)
    amount = reads.money(Money(amount_minor=facts["amount_minor"], currency=facts["currency"]))
    why, to_do = failure(facts["failure_code"])
    has_failed = message.kind is NotificationKind.PAYOUT_FAILED
    return MailContent(
        notification=message.kind,
        language=reads,
        reader=reader_of(instructor),
        variables={
            "amount": amount,
            "sessions": facts["sessions"],
            "why": reads.gettext(why),
            "to_do": reads.gettext(to_do),
        },
        details=[(reads.gettext("Amount"), amount)],
        links=[(reads.gettext("Update bank details"), _BANK_DETAILS_URL)] if has_failed else [],
        appointment=None,
    )
