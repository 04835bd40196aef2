"""The routers of this folder, for `api.main`."""

from api.bookings import calendar, decisions, event_stream, operator, quotes, receipts, rescheduling, routes

ROUTERS = (
    routes.router,
    quotes.router,
    calendar.router,
    receipts.router,
    event_stream.router,
    decisions.router,
    rescheduling.router,
    operator.router,
    operator.decisions,
)
