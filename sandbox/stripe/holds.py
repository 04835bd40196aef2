"""How long a hold lasts.

Only a card's charge says when its hold ends. Sources: docs "Place a hold on a payment method", authorization validity
windows; docs "Place an extended hold on an online card payment".
"""

from sandbox.stripe.context import Context
from sandbox.stripe.instruments import Instrument
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.ledger import DAY_SECONDS, midnight
from sandbox.stripe.payment_method_types import BY_NAME
from sandbox.stripe.store import Record

_SETTING = "sandbox.setting"
_HOLDS = "holds"

_VISA_OFF_SESSION_SECONDS = 4 * DAY_SECONDS + 18 * 3600
# American Express and Discover extend holds of travel merchants only.
_EXTENDED_SECONDS = {"visa": 29 * DAY_SECONDS + 18 * 3600, "mastercard": 30 * DAY_SECONDS}


def configure(context: Context, *, extended: bool, card_seconds: int | None) -> None:
    """Set whether the account's contract has extended authorizations, and how long holds on cards last."""
    body = {"extended": extended, "card_seconds": card_seconds}
    context.store.put(_SETTING, _HOLDS, owner="", body=body)


def end(context: Context, intent: Record, charge: Record, instrument: Instrument, *, off_session: bool) -> int:
    """When the hold that starts now ends. A card's charge gets this as its `capture_before`."""
    type, created = BY_NAME[instrument.type], int(charge.body["created"])
    if instrument.type != "card":
        starts = midnight(created) if type.hold_ends_at_midnight else created
        return starts + (type.hold_days or 0) * DAY_SECONDS
    setting = context.store.find(_SETTING, _HOLDS)
    seconds = setting.body["card_seconds"] if setting else None
    if seconds is None:
        is_short = off_session and instrument.brand == "visa"
        seconds = _VISA_OFF_SESSION_SECONDS if is_short else (type.hold_days or 0) * DAY_SECONDS
    details = charge.body["payment_method_details"]["card"]
    extended = _EXTENDED_SECONDS.get(str(instrument.brand))
    if setting and setting.body["extended"] and extended and _asks_for_extension(intent.body) and not off_session:
        seconds = extended
        details["extended_authorization"] = {"status": "enabled"}
    details["capture_before"] = created + seconds
    return created + seconds


def _asks_for_extension(intent: JsonObject) -> bool:
    card = intent["payment_method_options"].get("card") or {}
    return bool(card.get("request_extended_authorization") == "if_available")
