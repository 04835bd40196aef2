"""The routers of this folder, for `api.main`."""

from api.bookings import (
    calendar,
    decisions,
    event_stream,
    operator,
    options,
    quotes,
    receipts,
    rescheduling,
    routes,
    trace,
)

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
    options.router,
    trace.router,
)
