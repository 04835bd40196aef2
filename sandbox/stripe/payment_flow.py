"""The PaymentIntent's state machine: authorize, capture, cancel, expire.

    requires_payment_method ─┬─► requires_action ──► (authenticated, tried again)
                             ├─► requires_capture ─┬─► succeeded
                             │        (manual)     └─► canceled (by request, or `expired` at capture_before)
                             └─► succeeded (automatic)

Sources: docs "How PaymentIntents work" and "Place a hold on a payment method"; the changelog of 2025-03-31.basil:
a partial capture or a cancellation creates no Refund, and an expired hold is cancelled as `expired`.
"""

from sandbox.stripe import application_fees, cards, charges, transfers
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, card_declined
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.ledger import DAY_SECONDS, SETTLEMENT_SECONDS, stripe_fee
from sandbox.stripe.payment_methods import card_of
from sandbox.stripe.store import Record

INTENT = "payment_intent"
EXPIRE_HOLD = "expire_hold"
POST_CHARGE = "post_charge"

# Docs "Place a hold", authorization validity windows: 7 days for on-session payments, 4 days 18 hours for off-session
# Visa payments.
HOLD_SECONDS = 7 * DAY_SECONDS
VISA_OFF_SESSION_HOLD_SECONDS = 4 * DAY_SECONDS + 18 * 3600


def pay(
    context: Context, intent: Record, method: Record, *, authenticated: bool = False, off_session: bool = False
) -> Record:
    """Attempt a payment with a payment method, and return the updated intent.

    Raises:
        StripeError: 402 for a declined card. The failed charge and the intent's last error stay recorded.
    """
    card = card_of(method)
    intent.body["next_action"] = None
    if card.decline is not None:
        raise _declined(context, intent, method, card.decline)
    if card.authentication != "never" and not authenticated:
        if off_session:
            raise _declined(context, intent, method, cards.AUTHENTICATION_REQUIRED)
        return _require_authentication(context, intent, method)
    if intent.body["transfer_data"] and not intent.body["transfer_group"]:
        intent.body["transfer_group"] = f"group_{intent.id}"
    charge = charges.make(context, intent, method, card, failure=None)
    intent.body |= {"latest_charge": charge.id, "payment_method": method.id, "last_payment_error": None}
    if authenticated:
        charge.body["payment_method_details"]["card"]["three_d_secure"] = _passed_3d_secure()
    if intent.body["capture_method"] == "manual":
        return _hold(context, intent, charge, _hold_seconds(card, off_session))
    context.store.save(charge)
    return capture(context, intent, intent.body["amount"])


def capture(context: Context, intent: Record, amount: int) -> Record:
    """Capture `amount` of the authorized amount, and release the rest.

    With `automatic_async`, which is the default, the charge is posted right after the response. Until then it has no
    balance transaction, transfer or fee (docs "Asynchronous capture"). A charge keeps its `capture_before`.
    """
    context.timers.clear(EXPIRE_HOLD, intent.id)
    was_held = intent.body["status"] == "requires_capture"
    charge = context.store.get(charges.KIND, intent.body["latest_charge"])
    charge.body |= {"captured": True, "amount_captured": amount}
    context.store.save(charge)
    if not was_held:
        context.emit(charge, "charge.succeeded")
    if intent.body["capture_method"] == "automatic_async":
        context.timers.set(POST_CHARGE, charge.id, context.now())
    else:
        charge = _post_charge(context, intent, charge)
    intent.body |= {"amount_capturable": 0, "amount_received": amount, "status": "succeeded"}
    context.store.save(intent)
    if was_held:
        context.emit(charge, "charge.captured")
    context.emit(intent, "payment_intent.succeeded")
    _schedule_dispute(context, charge)
    return intent


def post_charge_when_due(context: Context, charge_id: str) -> None:
    """Post the charge of an asynchronous capture."""
    charge = context.store.get(charges.KIND, charge_id)
    charge = _post_charge(context, context.store.get(INTENT, charge.body["payment_intent"]), charge)
    context.emit(charge, "charge.updated", {"balance_transaction": None})


def _post_charge(context: Context, intent: Record, charge: Record) -> Record:
    """Post the captured amount to the ledger.

    A charge with a destination also gets its transfer and its application fee, which is at most the captured amount
    (docs "Destination charges").
    """
    amount = charge.body["amount_captured"]
    available_at_once = cards.BY_NUMBER[charge.hidden["number"]].available_at_once
    charge.body["balance_transaction"] = context.ledger.post(
        charge.owner,
        type="charge",
        amount=amount,
        currency=charge.body["currency"],
        source=charge.id,
        fee=stripe_fee(amount),
        available_on=context.now() + (0 if available_at_once else SETTLEMENT_SECONDS),
        description=charge.body["description"],
    )
    context.store.save(charge)
    if intent.body["transfer_data"]:
        charge = _transfer_to_destination(context, intent, charge, amount)
        context.store.save(intent)
    return charge


def cancel(context: Context, intent: Record, reason: str | None) -> Record:
    """Cancel the intent and release its hold. Nothing is captured or refunded."""
    context.timers.clear(EXPIRE_HOLD, intent.id)
    intent.body |= {
        "amount_capturable": 0,
        "canceled_at": context.now(),
        "cancellation_reason": reason,
        "next_action": None,
        "status": "canceled",
    }
    context.store.save(intent)
    context.emit(intent, "payment_intent.canceled")
    return intent


def expire_hold(context: Context, intent_id: str) -> None:
    """Cancel the intent automatically, because `capture_before` has passed."""
    intent = context.store.get(INTENT, intent_id)
    if intent.body["status"] != "requires_capture":
        return
    charge = context.store.get(charges.KIND, intent.body["latest_charge"])
    charge.hidden["expired"] = True
    context.store.save(charge)
    context.emit(charge, "charge.expired")
    cancel(context, intent, "expired")


def _hold(context: Context, intent: Record, charge: Record, seconds: int) -> Record:
    capture_before = context.now() + seconds
    charge.body["payment_method_details"]["card"]["capture_before"] = capture_before
    context.store.save(charge)
    intent.body |= {"amount_capturable": intent.body["amount"], "status": "requires_capture"}
    context.store.save(intent)
    context.timers.set(EXPIRE_HOLD, intent.id, capture_before)
    context.emit(charge, "charge.succeeded")
    context.emit(intent, "payment_intent.amount_capturable_updated")
    return intent


def _hold_seconds(card: cards.Card, off_session: bool) -> int:
    return VISA_OFF_SESSION_HOLD_SECONDS if off_session and card.brand == "visa" else HOLD_SECONDS


def _transfer_to_destination(context: Context, intent: Record, charge: Record, amount: int) -> Record:
    """Create the transfer to the destination, and collect the application fee from it."""
    data = intent.body["transfer_data"]
    available_on = context.ledger.available_on(charge.body["balance_transaction"])
    requested_fee = intent.body["application_fee_amount"]
    fee_amount = min(requested_fee, amount) if requested_fee else 0
    fee = (
        application_fees.collect(context, charge, data["destination"], fee_amount, available_on) if fee_amount else None
    )
    transfer = transfers.make(
        context,
        charge.owner,
        amount=min(data.get("amount") or amount, amount),
        currency=charge.body["currency"],
        destination=data["destination"],
        source=charge,
        group=intent.body["transfer_group"],
        application_fee=fee.id if fee else None,
        fee_amount=fee_amount,
    )
    if fee is not None:
        application_fees.attach_payment(context, fee, transfer.body["destination_payment"])
    charge.body |= {
        "application_fee": fee.id if fee else None,
        "application_fee_amount": fee_amount if requested_fee is not None else None,
        "transfer": transfer.id,
    }
    if requested_fee is not None:
        intent.body["application_fee_amount"] = fee_amount
    return context.store.save(charge)


def _require_authentication(context: Context, intent: Record, method: Record) -> Record:
    intent.body |= {
        "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}},
        "payment_method": method.id,
        "status": "requires_action",
    }
    context.store.save(intent)
    context.emit(intent, "payment_intent.requires_action")
    return intent


def authentication_failed(context: Context, intent: Record, method: Record) -> StripeError:
    """3-D Secure failed: the intent requires a payment method again, and has no charge."""
    message = (
        "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    )
    error: JsonObject = {
        "code": "payment_intent_authentication_failure",
        "message": message,
        "payment_method": method.body,
        "type": "invalid_request_error",
    }
    intent.body |= {
        "last_payment_error": error,
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    context.store.save(intent)
    context.emit(intent, "payment_intent.payment_failed")
    return StripeError(402, "card_error", message, code=error["code"], keeps_effects=True)


def _declined(context: Context, intent: Record, method: Record, decline: cards.Decline) -> StripeError:
    failure = decline.failure()
    charge = charges.make(context, intent, method, card_of(method), failure=failure)
    last_error = failure | {
        "charge": charge.id,
        "doc_url": f"https://stripe.com/docs/error-codes/{decline.code.replace('_', '-')}",
        "payment_method": method.body,
        "type": "card_error",
    }
    intent.body |= {
        "last_payment_error": last_error,
        "latest_charge": charge.id,
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    context.store.save(intent)
    context.emit(charge, "charge.failed")
    context.emit(intent, "payment_intent.payment_failed")
    extra = {"payment_intent": context.view(intent), "payment_method": method.body}
    return card_declined(failure | {"charge": charge.id} | extra)


def _schedule_dispute(context: Context, charge: Record) -> None:
    card = cards.BY_NUMBER[charge.hidden["number"]]
    if card.fraud_type is not None:
        context.timers.set("open_warning", charge.id, context.now())
    reason = card.dispute_reason
    if reason is not None:
        context.timers.set("open_dispute", f"{charge.id}:{reason}", context.now())


def _passed_3d_secure() -> JsonObject:
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": new_id("3ds"),
        "version": "2.2.0",
    }
