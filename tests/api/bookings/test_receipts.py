"""The receipt route: content from the ledger, for the two sides and operators."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking.records import RecordActivities
from activities.database import ledger
from api.http.documents import Documents
from models.domain import postings
from models.domain.actors import Actor, Role
from models.domain.endings import cancelled, completed, rejected
from models.domain.ids import receipt_number
from models.domain.ledger import Posting
from models.domain.messages import RecordRenewedPayment
from models.domain.money import Money
from models.domain.payments import HoldPhase
from models.domain.policy import BookingPolicy, PaymentPlan
from models.domain.postings import Parties, Shares
from models.domain.states import BookingStatus
from models.domain.terms import BookingTerms
from models.tables.people import Student
from tests.activities.bookings import HOUR, NOW, Bookings, authorization, charged, ended, held, reserve
from tests.api.world import Person, World, add_student, problem
from tests.models.documents import pdf


class CountingDocuments(Documents):
    drawn = 0

    async def get(self, values: object, draw: Callable[[], bytes]) -> bytes:
        def counted() -> bytes:
            self.drawn += 1
            return draw()

        return await super().get(values, counted)


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


@pytest.fixture
def bookings(world: World) -> Bookings:
    return Bookings(world.engine, RecordActivities(world.engine))


async def completed_booking(bookings: Bookings, policy: BookingPolicy | None = None) -> BookingTerms:
    terms = await bookings.accepted(policy or BookingPolicy())
    await bookings.records.record_ending(
        ended(terms, completed(terms, bookings.instructor), held(terms, HoldPhase.CAPTURED))
    )
    return terms


def student_of(terms: BookingTerms) -> Person:
    return Person(Role.STUDENT, terms.student_id)


async def download(client: httpx.AsyncClient, booking_id: UUID, person: Person) -> httpx.Response:
    return await client.get(f"/v1/bookings/{booking_id}/receipt.pdf", headers=person.headers)


async def download_text(client: httpx.AsyncClient, terms: BookingTerms) -> str:
    answer = await download(client, terms.booking_id, student_of(terms))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == 'attachment; filename="receipt.pdf"'
    return " ".join(pdf.text(answer.content).split())


async def test_everyone_who_may_see_a_receipt_gets_the_same_file(
    client: httpx.AsyncClient, bookings: Bookings, world: World
) -> None:
    terms = await completed_booking(bookings)
    people = [student_of(terms), Person(Role.INSTRUCTOR, terms.instructor_id), world.operator, student_of(terms)]
    files = [(await download(client, terms.booking_id, person)).content for person in people]
    assert files[0].startswith(b"%PDF-")
    assert len(set(files)) == 1
    assert problem(await download(client, terms.booking_id, await add_student(world.engine))) == (404, "not-found")


async def test_a_receipt_shows_what_was_paid_in_the_students_time_zone(
    client: httpx.AsyncClient, bookings: Bookings
) -> None:
    terms = await completed_booking(bookings)
    async with AsyncSession(bookings.engine) as session, session.begin():
        (await session.get_one(Student, terms.student_id)).time_zone = "Asia/Tokyo"
    text = await download_text(client, terms)
    for line in (
        *(receipt_number(terms.booking_id), "Paid by Ada", "Paid to Nadia", "Session Counterpoint"),
        *(
            "Mon, 2 Mar 2026, 18:15 Hold placed US$100.00",
            "Mon, 2 Mar 2026, 20:00 Charged US$100.00",
        ),
        *("Platform fee of Holdfast US$20.00", "Thu, 5 Mar 2026, 18:00–19:00", "Times are in Asia/Tokyo."),
    ):
        assert line in text


async def test_a_receipt_is_drawn_once_until_its_money_or_a_name_changes(
    app: FastAPI, client: httpx.AsyncClient, bookings: Bookings, world: World
) -> None:
    documents = app.state.documents = CountingDocuments()
    terms = await completed_booking(bookings)
    readers = [student_of(terms), world.operator] * 3
    answers = await asyncio.gather(*(download(client, terms.booking_id, reader) for reader in readers))
    assert len({answer.content for answer in answers}) == documents.drawn == 1
    async with AsyncSession(bookings.engine) as session, session.begin():
        await ledger.post(session, NOW + 30 * HOUR, *_refund(postings.parties_of(terms)))
    assert "Refunded" in await download_text(client, terms)
    async with AsyncSession(bookings.engine) as session, session.begin():
        (await session.get_one(Student, terms.student_id)).name = "Augusta"
    assert "Paid by Augusta" in await download_text(client, terms)
    assert documents.drawn == 3


async def test_a_receipt_of_a_cancelled_session_shows_what_was_kept_and_never_charged(
    client: httpx.AsyncClient, bookings: Bookings
) -> None:
    terms = await bookings.accepted()
    late = cancelled(terms, Actor(role=Role.STUDENT), terms.starts_at - 3 * HOUR, accepted=True)
    payment = held(terms, HoldPhase.CAPTURED).model_copy(update={"captured_minor": 5_000})
    await bookings.records.record_ending(ended(terms, late, payment))
    text = await download_text(client, terms)
    assert "US$50.00 of the hold of US$100.00 was released." in text
    assert (
        "How your payment is divided Instructor’s share US$40.00 Platform fee of Holdfast US$10.00 You paid US$50.00"
        in text
    )


async def test_a_receipt_of_a_released_hold_shows_that_nothing_was_charged(
    client: httpx.AsyncClient, bookings: Bookings
) -> None:
    terms = await bookings.authorized()
    await bookings.records.record_ending(
        ended(terms, rejected(terms, bookings.instructor), held(terms, HoldPhase.GONE))
    )
    text = await download_text(client, terms)
    assert "You were not charged." in text
    assert "Hold released US$100.00" in text


async def test_a_student_who_is_charged_has_a_receipt_at_once_and_reads_later_what_was_refunded(
    client: httpx.AsyncClient, bookings: Bookings
) -> None:
    terms = (await bookings.terms()).model_copy(update={"plan": PaymentPlan.CHARGE_THEN_TRANSFER})
    assert await bookings.records.reserve_slot(reserve(terms))
    await bookings.records.record_authorization(authorization(terms))
    assert "Charged US$100.00 You paid US$100.00" in await download_text(client, terms)
    await bookings.records.record_acceptance(bookings.acceptance(terms))
    late = cancelled(terms, Actor(role=Role.STUDENT), terms.starts_at - 3 * HOUR, accepted=True)
    settled = {"phase": HoldPhase.CAPTURED, "refunded_minor": 5_000, "transferred_minor": 4_000}
    await bookings.records.record_ending(ended(terms, late, charged(terms).model_copy(update=settled)))
    text = await download_text(client, terms)
    assert "US$50.00 was returned to you." in text
    assert "Refunded -US$50.00 You paid US$50.00" in " ".join(text.split())
    assert "Instructor’s share US$40.00 Platform fee of Holdfast US$10.00 You paid US$50.00" in text
    assert "hold" not in text.replace("Holdfast", "").lower()


async def test_a_hold_that_a_charge_replaced_was_not_released_in_part(
    client: httpx.AsyncClient, bookings: Bookings
) -> None:
    terms = await bookings.accepted()
    renewed = terms.model_copy(update={"plan": PaymentPlan.CHARGE_THEN_TRANSFER})
    record = RecordRenewedPayment(terms=renewed, payment=charged(renewed), deadline_at=None, at=NOW + 2 * HOUR)
    await bookings.records.record_renewed_payment(record)
    text = await download_text(client, terms)
    assert "Hold released US$100.00" in text
    assert "You paid US$100.00 Paid in full." in text


def _refund(parties: Parties, platform_loss: int = 0) -> Sequence[Posting]:
    borne = Shares(instructor=usd(4_000 - platform_loss), platform_fee=usd(1_000), platform_loss=usd(platform_loss))
    return postings.refund(parties, "re_1", borne)


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (
            lambda of: _refund(of),
            ["Refunded -US$50.00", "US$50.00 of it is still on its way", "divided"],
        ),
        (
            lambda of: [*_refund(of), postings.refund_sent(of, "re_1", usd(5_000))],
            ["US$50.00 was returned to you. Transactions", "Instructor’s share US$40.00"],
        ),
        (
            lambda of: [
                *_refund(of),
                postings.refund_sent(of, "re_1", usd(5_000)),
                postings.refund_failed(of, "re_1", usd(5_000)),
            ],
            ["Refund returned by your bank; we still owe it to you US$50.00", "US$50.00 of it is still on its way"],
        ),
        (
            lambda of: [postings.dispute_opened(of, "dp_1", usd(10_000))],
            ["Disputed: returned to you by your bank -US$100.00", "You paid US$0.00"],
        ),
        (
            lambda of: [
                postings.dispute_opened(of, "dp_1", usd(10_000)),
                *postings.dispute_won(of, "dp_1", usd(10_000)),
            ],
            ["Dispute closed: charged again by your bank US$100.00", "You paid US$100.00"],
        ),
        (
            lambda of: [postings.paid_out(of.instructor_id, of.booking_id, "po_1", usd(8_000)), *_refund(of)],
            ["Instructor’s share US$40.00 Platform fee of Holdfast US$10.00 You paid US$50.00"],
        ),
    ],
)
async def test_a_receipt_shows_later_money_movements(
    client: httpx.AsyncClient,
    bookings: Bookings,
    later: Callable[[Parties], Sequence[Posting]],
    expected: list[str],
) -> None:
    terms = await completed_booking(bookings)
    async with AsyncSession(bookings.engine) as session, session.begin():
        await ledger.post(session, NOW + 30 * HOUR, *later(postings.parties_of(terms)))
    text = await download_text(client, terms)
    assert [line for line in expected if line not in text] == []


async def test_a_receipt_names_the_tax_in_the_fee_that_was_shown_and_that_was_kept(
    client: httpx.AsyncClient, bookings: Bookings
) -> None:
    terms = await completed_booking(bookings, BookingPolicy(fee_tax_bps=1_900))
    shown = "Platform fee of Holdfast, including US$3.19 of tax (19%) US$20.00"
    assert shown in await download_text(client, terms)
    async with AsyncSession(bookings.engine) as session, session.begin():
        await ledger.post(session, NOW + 30 * HOUR, *_refund(postings.parties_of(terms)))
    text = await download_text(client, terms)
    assert shown in text
    assert "Platform fee of Holdfast, including US$1.60 of tax (19%) US$10.00 You paid US$50.00" in text


async def test_a_loss_of_the_platform_is_not_shown_as_the_instructors(
    client: httpx.AsyncClient, bookings: Bookings
) -> None:
    terms = await completed_booking(bookings)
    async with AsyncSession(bookings.engine) as session, session.begin():
        await ledger.post(session, NOW + 30 * HOUR, *_refund(postings.parties_of(terms), platform_loss=4_000))
    text = await download_text(client, terms)
    assert "You paid US$50.00" in text
    assert "divided" not in text


@pytest.mark.parametrize(
    ("status", "kind"),
    [(BookingStatus.ACCEPTED, "not-possible-now"), (BookingStatus.CANCELLED, "booking-closed")],
)
async def test_an_unpaid_booking_has_no_receipt(
    client: httpx.AsyncClient, world: World, status: BookingStatus, kind: str
) -> None:
    assert problem(await download(client, await world.booking(status=status), world.student)) == (409, kind)


async def test_a_held_payment_has_no_receipt_yet(client: httpx.AsyncClient, bookings: Bookings) -> None:
    terms = await bookings.accepted()
    assert problem(await download(client, terms.booking_id, student_of(terms))) == (409, "not-possible-now")


async def test_the_receipt_of_a_deleted_booking_is_gone(client: httpx.AsyncClient, world: World) -> None:
    assert problem(await download(client, await world.deleted_booking(), world.student)) == (410, "booking-deleted")
