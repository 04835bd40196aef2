"""The PaymentIntent's state machine: authorize, capture, cancel, expire.

    requires_payment_method ─┬─► requires_action ──► (authenticated, tried again)
                             ├─► requires_capture ─┬─► succeeded
                             │        (manual)     └─► canceled (by request, or `expired` at the hold's end)
                             ├─► processing ───────┬─► succeeded
                             │     (bank debits)   └─► requires_payment_method
                             └─► succeeded (automatic)

Sources: docs "How PaymentIntents work" and "Place a hold on a payment method"; the changelog of 2025-03-31.basil:
a partial capture or a cancellation creates no Refund, and an expired hold is cancelled as `expired`.
"""

from sandbox.stripe import application_fees, cards, charges, holds, payment_failures, payment_methods, transfers
from sandbox.stripe.context import Context
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.ledger import DAY_SECONDS, SETTLEMENT_SECONDS, stripe_fee
from sandbox.stripe.payment_method_types import BY_NAME
from sandbox.stripe.payment_methods import instrument_of
from sandbox.stripe.store import Record

INTENT = "payment_intent"
EXPIRE_HOLD = "expire_hold"
POST_CHARGE = "post_charge"
FINISH_DEBIT = "finish_debit"


def pay(
    context: Context, intent: Record, method: Record, *, authenticated: bool = False, off_session: bool = False
) -> Record:
    """Attempt a payment with a payment method, and return the updated intent.

    Raises:
        StripeError: 402 for a declined card. The failed charge and the intent's last error stay recorded.
    """
    instrument, type = instrument_of(method), BY_NAME[method.body["type"]]
    intent.body["next_action"] = None
    if instrument.decline is not None and not type.confirmed_after_days:
        raise payment_failures.declined(context, intent, method, instrument.decline)
    if instrument.authentication != "never" and not authenticated:
        if off_session:
            raise payment_failures.declined(context, intent, method, cards.AUTHENTICATION_REQUIRED)
        return _require_authentication(context, intent, method)
    if intent.body["transfer_data"] and not intent.body["transfer_group"]:
        intent.body["transfer_group"] = f"group_{intent.id}"
    charge = charges.make(context, intent, method)
    intent.body |= {"latest_charge": charge.id, "payment_method": method.id, "last_payment_error": None}
    if authenticated and instrument.type == "card":
        charge.body["payment_method_details"]["card"]["three_d_secure"] = _passed_3d_secure()
    if type.confirmed_after_days:
        return _start_debit(context, intent, charge, type.confirmed_after_days)
    if intent.body["capture_method"] == "manual":
        return _hold(context, intent, charge, holds.end(context, intent, charge, instrument, off_session=off_session))
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
    instrument = instrument_of(charge)
    type = BY_NAME[instrument.type]
    is_available = instrument.available_at_once or type.confirmed_after_days > 0
    charge.body["balance_transaction"] = context.ledger.post(
        charge.owner,
        type="charge" if instrument.type == "card" else "payment",
        amount=amount,
        currency=charge.body["currency"],
        source=charge.id,
        fee=stripe_fee(type.fee, amount),
        available_on=context.now() + (0 if is_available else SETTLEMENT_SECONDS),
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
    """Cancel the intent automatically, because its hold has ended."""
    intent = context.store.get(INTENT, intent_id)
    if intent.body["status"] != "requires_capture":
        return
    charge = context.store.get(charges.KIND, intent.body["latest_charge"])
    charge.hidden["expired"] = True
    context.store.save(charge)
    context.emit(charge, "charge.expired")
    cancel(context, intent, "expired")


def finish_debit(context: Context, intent: Record) -> bool:
    """The bank has answered: return whether the debit succeeded."""
    charge = context.store.get(charges.KIND, intent.body["latest_charge"])
    decline = instrument_of(charge).decline
    if decline is not None:
        method = context.store.get(payment_methods.KIND, intent.body["payment_method"])
        payment_failures.debit_failed(context, intent, charge, method, decline)
        return False
    charge.body |= {"paid": True, "status": "succeeded"}
    context.store.save(charge)
    capture(context, intent, intent.body["amount"])
    return True


def _start_debit(context: Context, intent: Record, charge: Record, days: int) -> Record:
    charge.body |= {"paid": False, "status": "pending"}
    context.store.save(charge)
    intent.body["status"] = "processing"
    context.store.save(intent)
    if not instrument_of(charge).stays_processing:
        context.timers.set(FINISH_DEBIT, intent.id, context.now() + days * DAY_SECONDS)
    context.emit(charge, "charge.pending")
    context.emit(intent, "payment_intent.processing")
    return intent


def _hold(context: Context, intent: Record, charge: Record, ends_at: int) -> Record:
    context.store.save(charge)
    intent.body |= {"amount_capturable": intent.body["amount"], "status": "requires_capture"}
    context.store.save(intent)
    context.timers.set(EXPIRE_HOLD, intent.id, ends_at)
    context.emit(charge, "charge.succeeded")
    context.emit(intent, "payment_intent.amount_capturable_updated")
    return intent


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
    action: JsonObject = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    if method.body["type"] != "card":
        action = {"type": "redirect_to_url", "redirect_to_url": {"return_url": None, "url": None}}
    intent.body |= {
        "next_action": action,
        "payment_method": method.id,
        "status": "requires_action",
    }
    context.store.save(intent)
    context.emit(intent, "payment_intent.requires_action")
    return intent


def _schedule_dispute(context: Context, charge: Record) -> None:
    instrument = instrument_of(charge)
    if instrument.fraud_type is not None:
        context.timers.set("open_warning", charge.id, context.now())
    reason = instrument.dispute_reason
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
