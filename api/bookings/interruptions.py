"""Open bookings whose workflow was ended from outside: terminated in Temporal's UI, say, or failed."""

from contextlib import suppress

from api.bookings.queries import BookingRecord
from api.http.problems import Kind, Problem
from api.http.temporal import WorkflowCallError
from api.reconciliation.routes import ReconciliationClient
from models.domain.actors import PLATFORM

_SENTENCE = "Nothing was decided. The platform ends the booking, and returns the payment; look at it again in a moment."
_UNDER_REVIEW = "Nothing was decided. An operator has to look into it."


async def interrupted(record: BookingRecord, reconciliations: ReconciliationClient) -> Problem:
    """The 409 `Problem`. The reconciliation that is started ends the booking, unless an earlier one could not."""
    status = record.request.status
    if record.request.needs_attention:
        return Problem(Kind.BOOKING_INTERRUPTED, _UNDER_REVIEW, booking_status=status)
    # The next scheduled run finds the booking otherwise.
    with suppress(WorkflowCallError):
        await reconciliations.start(PLATFORM)
    return Problem(Kind.BOOKING_INTERRUPTED, _SENTENCE, booking_status=status)
