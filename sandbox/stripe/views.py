"""Fields that depend on the current time, and lists that an object has only if they are expanded."""

from sandbox.stripe import accounts, balance, charges, checkout_sessions, event_objects
from sandbox.stripe.context import View
from sandbox.stripe.expansion import Includable

VIEWS: dict[str, View] = {
    "account": accounts.view,
    "balance_transaction": balance.view_transaction,
    "checkout.session": checkout_sessions.view,
    "event": event_objects.view,
}

INCLUDABLE: Includable = {
    ("charge", "refunds"): charges.refunds_included,
    ("checkout.session", "line_items"): checkout_sessions.line_items_included,
}
