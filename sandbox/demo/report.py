"""The demo's results, as tables and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Table

from models.domain.ids import workflow_id
from models.domain.money import Money
from sandbox.demo.checks import Check
from sandbox.demo.figures import Figures, RecordedPayment
from sandbox.demo.marketplace import PRICE
from sandbox.demo.programme import Expected
from sandbox.demo.steps import JourneyResult


@dataclass(frozen=True)
class Row:
    name: str
    booking_id: str | None
    workflow_id: str | None
    booking_status: str | None
    session_status: str | None
    payment_status: str | None
    plan: str | None
    student_paid_minor: int
    instructor_received_minor: int
    platform_kept_minor: int
    stripe_fee_minor: int
    currency: str
    ok: bool
    error: str | None = None


def row(
    name: str,
    result: JourneyResult | Exception,
    expected: Expected,
    figures: Mapping[str, Figures],
    recorded: Mapping[str, RecordedPayment],
) -> Row:
    """The row of a journey. It is `ok` if the states and amounts are the expected ones."""
    if isinstance(result, Exception):
        return Row(name, None, None, None, None, None, None, 0, 0, 0, 0, PRICE.currency, False, repr(result))
    booking_id, response = result.booking_id, result.response
    money = figures.get(booking_id or "", Figures())
    actual = Expected(
        *_states(booking_id, response, recorded),
        money.student_paid_minor,
        money.instructor_received_minor,
        money.platform_kept_minor,
        recorded[booking_id].plan if booking_id and booking_id in recorded else None,
    )
    return Row(
        name,
        booking_id,
        workflow_id(UUID(booking_id)) if booking_id else None,
        actual.booking,
        actual.session,
        actual.payment,
        actual.plan,
        actual.student_paid_minor,
        actual.instructor_received_minor,
        actual.platform_kept_minor,
        money.stripe_fee_minor,
        PRICE.currency,
        actual == expected,
        None if actual == expected else f"expected {expected}",
    )


def _states(
    booking_id: str | None, response: Mapping[str, object], recorded: Mapping[str, RecordedPayment]
) -> tuple[str | None, str | None, str | None]:
    """The statuses of booking, session and payment, as the API returns them. A deleted booking leaves a payment row."""
    if booking_id is None:
        return None, None, None
    if response["status"] == 410:
        payment = recorded.get(booking_id)
        return "DELETED", None, payment.status if payment else None
    return str(response["status"]), _status(response.get("session")), _status(response.get("payment"))


def _status(part: object) -> str | None:
    return str(part["status"]) if isinstance(part, dict) and part.get("status") else None


def is_ok(rows: Sequence[Row], checked: Sequence[Check]) -> bool:
    return all(row.ok for row in rows) and all(check.ok for check in checked)


def write_json(path: Path, rows: Sequence[Row], checked: Sequence[Check], seconds: float) -> None:
    outcome = {
        "ok": is_ok(rows, checked),
        "seconds": round(seconds, 1),
        "journeys": [{name: value for name, value in asdict(row).items() if name != "error"} for row in rows],
        "checks": [asdict(check) for check in checked],
    }
    path.write_text(json.dumps(outcome, indent=2) + "\n")


def print_tables(rows: Sequence[Row], checked: Sequence[Check], seconds: float) -> None:
    console = Console(width=170)
    table = Table(title=f"Who paid and who got what, for a price of {PRICE.format()}, as Stripe has it")
    for heading in ("journey", "plan", "booking", "session", "payment"):
        table.add_column(heading)
    for heading in ("student paid", "instructor got", "platform kept", "Stripe's fee"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in rows:
        money = (
            row.student_paid_minor,
            row.instructor_received_minor,
            row.platform_kept_minor,
            row.stripe_fee_minor,
        )
        table.add_row(
            row.name,
            *(state or "-" for state in (row.plan, row.booking_status, row.session_status, row.payment_status)),
            *(Money(amount_minor=amount, currency=row.currency).format() for amount in money),
            "ok" if row.ok else "WRONG",
        )
    console.print(table)
    for row in rows:
        if row.error:
            console.print(f"{row.name}: {row.error}", markup=False)
    for check in checked:
        console.print(f"{'ok   ' if check.ok else 'WRONG'} {check.name}: {check.detail}", markup=False)
    console.print(f"{'All is well' if is_ok(rows, checked) else 'Something is wrong'}, after {seconds:.1f} s.")
