"""Terms from before a field was added."""

from models.domain.terms import BookingTerms
from tests.models.domain.posted import terms_of, usd


def test_a_booking_from_before_buffers_and_recordings_has_neither() -> None:
    added = {"buffer_before_minutes", "buffer_after_minutes", "is_recorded"}
    terms = BookingTerms.model_validate(terms_of(usd(100)).model_dump(exclude=added))
    assert (terms.buffer_before_minutes, terms.buffer_after_minutes, terms.is_recorded) == (0, 0, False)
