"""Payment methods: test cards, test bank accounts and wallets (docs "Testing", API reference "PaymentMethods").

The API makes cards only. Checkout makes all of them.
"""

from sandbox.stripe import bank_debits, cards, payment_method_types
from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import StripeError, invalid, no_such
from sandbox.stripe.ids import new_id
from sandbox.stripe.instruments import Instrument
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.lists import listed
from sandbox.stripe.store import Record

KIND = "payment_method"
_WALLETS = {
    type.name: Instrument(
        type.name, "", None, type.label, type.name, authentication="always" if type.redirects else "never"
    )
    for type in payment_method_types.ALL
    if type.name != "card" and not type.confirmed_after_days
}
_BY_NUMBER = cards.BY_NUMBER | bank_debits.BY_NUMBER | _WALLETS
EXPIRY_MONTH, EXPIRY_YEAR = 12, 2034
NO_ADDRESS: JsonObject = {
    "city": None,
    "country": None,
    "line1": None,
    "line2": None,
    "postal_code": None,
    "state": None,
}


def create(call: Call) -> JsonObject:
    params = call.params
    if params.get("type") != "card" or "card" not in params:
        raise invalid("The sandbox models card payment methods only.", param="type")
    details = params["card"]
    card = cards.by_token(details.get("token", "").replace("tok_", "pm_card_")) or cards.BY_NUMBER.get(
        details.get("number", "").replace(" ", "")
    )
    if card is None:
        raise StripeError(
            402, "card_error", "Your card number is incorrect.", code="incorrect_number", param="card[number]"
        )
    record = make(call.context, call.account, card, billing=params.get("billing_details"))
    record.body["metadata"] = params.get("metadata", {})
    return call.context.view(call.context.store.save(record))


def retrieve(call: Call) -> JsonObject:
    id = call.path["payment_method"]
    if call.context.store.find(KIND, id) is None and (card := cards.by_token(id)):
        return make(call.context, call.account, card).body
    return call.context.view(call.from_path(KIND, "payment_method"))


def list_for_customer(call: Call) -> JsonObject:
    customer = call.find("customer", call.path["customer"], "customer", status=404).id
    url = f"/v1/customers/{customer}/payment_methods"
    return listed(call, KIND, url, "type", keep=lambda record: record.body["customer"] == customer)


def attach(call: Call) -> JsonObject:
    customer = call.find("customer", call.params["customer"], "customer")
    record = resolve(call.context, call.account, call.path["payment_method"])
    record.body["customer"] = customer.id
    call.context.store.save(record)
    call.context.emit(record, "payment_method.attached")
    return call.context.view(record)


def resolve(context: Context, account: str, id: str) -> Record:
    """A payment method of the account, or a new one if `id` is a test token such as `pm_card_visa`.

    Raises:
        StripeError: 400 `resource_missing`.
    """
    card = cards.by_token(id)
    if card is not None:
        return make(context, account, card)
    record = context.store.find(KIND, id)
    if record is None or record.owner != account:
        raise no_such("PaymentMethod", id, "payment_method", status=400)
    return record


def make(context: Context, account: str, instrument: Instrument, billing: JsonObject | None = None) -> Record:
    details = billing or {}
    body: JsonObject = {
        "id": new_id("pm"),
        "object": KIND,
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": NO_ADDRESS | (details.get("address") or {}),
            "email": details.get("email"),
            "name": details.get("name"),
            "phone": details.get("phone"),
            "tax_id": None,
        },
        instrument.type: _card(instrument) if instrument.type == "card" else account_details(instrument),
        "created": context.now(),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": instrument.type,
    }
    return context.store.put(KIND, body["id"], owner=account, body=body, hidden={"number": instrument.number})


def instrument_of(record: Record) -> Instrument:
    """What a payment method, or a charge, was made with."""
    return _BY_NUMBER[record.hidden["number"]]


def find_instrument(type: str, number: str) -> Instrument | None:
    """The test card or account of this type and number, or the wallet of this type."""
    instrument = _BY_NUMBER.get(type if type in _WALLETS else number)
    return instrument if instrument and instrument.type == type else None


def account_details(instrument: Instrument) -> JsonObject:
    """The details of a bank account. A wallet has none."""
    if instrument.number in _WALLETS:
        return {}
    return {"fingerprint": instrument.fingerprint, "last4": instrument.last4}


def _card(card: Instrument) -> JsonObject:
    return {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": card.brand,
        "exp_month": EXPIRY_MONTH,
        "exp_year": EXPIRY_YEAR,
        "fingerprint": card.fingerprint,
        "funding": "credit",
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
