"""The hosted Checkout page: a card form, and a form for each other way to pay.

Cards may require a 3-D Secure challenge, and most wallets a visit to their own page. `/challenge` stands for both.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe import bank_debits, cards, checkout_sessions, deadlines, payment_flow, payment_methods
from sandbox.stripe.checkout_sessions import CHECKOUT_PATH, KIND
from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.instruments import Instrument
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.money import formatted
from sandbox.stripe.pages.rendering import page
from sandbox.stripe.payment_method_types import BY_NAME
from sandbox.stripe.store import Record

_SESSION_ID_PLACEHOLDER = "{CHECKOUT_SESSION_ID}"
_EXPIRY = re.compile(r"^\s*(\d{1,2})\s*/\s*(\d{2}|\d{4})\s*$")
_CVC = re.compile(r"^\d{3,4}$")

_SEE_OTHER = 303
_PAYMENT_REQUIRED = 402
_GONE = 410


@dataclass(frozen=True)
class PaymentForm:
    """The submitted form. A field that was not sent at all has a valid default."""

    method: str = "card"
    number: str = ""
    """Of the card, or of the bank account."""
    expiry: str = "12/34"
    cvc: str = "123"
    name: str = "Sandbox Person"
    email: str = ""


class CheckoutPages:
    """The pages of a session. Their URL ends with the session's unguessable id."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        path = f"{CHECKOUT_PATH}{{session}}"
        return [
            Route(path, self.show, methods=["GET"]),
            Route(path, self.pay, methods=["POST"]),
            Route(f"{path}/challenge", self.show_challenge, methods=["GET"]),
            Route(f"{path}/challenge", self.answer_challenge, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        session = self._session(request)
        return self._form(session) if _is_open(session) else self._closed(session)

    async def pay(self, request: Request) -> Response:
        session = self._session(request)
        if session is None or not _is_open(session):
            return self._closed(session)
        submitted = await _submitted(request)
        instrument, problem = _validate(submitted, session, self._context.now())
        if instrument is None:
            return self._form(session, problem, submitted)
        try:
            session = self._attempt(request, session, instrument, submitted)
        except StripeError as error:
            return self._form(self._session(request), str(error), submitted)
        if _is_open(session):
            return RedirectResponse(f"{request.url.path}/challenge", _SEE_OTHER)
        return _to_success(session)

    async def show_challenge(self, request: Request) -> Response:
        session = self._session(request)
        method = self._method_to_authenticate(session) if session else None
        if session is None or method is None:
            return self._form(session) if _is_open(session) else self._closed(session)
        wallet = None if method.body["type"] == "card" else BY_NAME[method.body["type"]].label
        return page("challenge.html", amount=_amount(session), action=request.url.path, wallet=wallet)

    async def answer_challenge(self, request: Request) -> Response:
        session = self._session(request)
        method = self._method_to_authenticate(session) if session else None
        if session is None or method is None:
            return self._form(session) if _is_open(session) else self._closed(session)
        outcome = (await request.form()).get("outcome")
        if outcome != "complete":
            with self._context.store.transaction():
                refusal = checkout_sessions.fail_authentication(self._context, session)
            return self._form(self._session(request), str(refusal))
        submitted = PaymentForm(
            name=session.body["customer_details"]["name"], email=session.body["customer_details"]["email"]
        )
        session = self._attempt(request, session, payment_methods.instrument_of(method), submitted, authenticated=True)
        return _to_success(session)

    def _attempt(
        self,
        request: Request,
        session: Record,
        instrument: Instrument,
        submitted: PaymentForm,
        *,
        authenticated: bool = False,
    ) -> Record:
        """Pay in one transaction. A decline is committed before it is raised."""
        call = Call(self._context, session.owner, {}, {}, str(request.base_url).rstrip("/"))
        with self._context.store.transaction():
            try:
                return checkout_sessions.pay(
                    call, session, instrument, submitted.name, submitted.email or None, authenticated=authenticated
                )
            except StripeError as error:
                if not error.keeps_effects:
                    raise
                declined = error
        raise declined

    def _session(self, request: Request) -> Record | None:
        deadlines.run_due(self._context)
        return self._context.store.find(KIND, request.path_params["session"])

    def _method_to_authenticate(self, session: Record) -> Record | None:
        """The payment method that the student has yet to approve, if there is one."""
        if session.body["payment_intent"] is None or not _is_open(session):
            return None
        intent = self._context.store.get(payment_flow.INTENT, session.body["payment_intent"])
        if intent.body["status"] != "requires_action":
            return None
        return self._context.store.get(payment_methods.KIND, intent.body["payment_method"])

    def _form(
        self, session: Record | None, problem: str | None = None, submitted: PaymentForm | None = None
    ) -> Response:
        if session is None:
            return self._closed(None)
        body = session.body
        submit = body["custom_text"]["submit"]
        return page(
            "checkout.html",
            _PAYMENT_REQUIRED if problem else 200,
            action=f"{CHECKOUT_PATH}{session.id}",
            amount=_amount(session),
            cancel_url=body["cancel_url"],
            cards=cards.listed() if "card" in body["payment_method_types"] else (),
            disclosure=submit["message"] if submit else None,
            email=(submitted.email if submitted else None) or body["customer_email"] or "",
            is_hold=session.hidden["intent_data"].get("capture_method") == "manual",
            items=[_displayed_item(item) for item in session.hidden["items"]],
            name=submitted.name if submitted else "",
            others=[
                {"type": BY_NAME[name], "accounts": bank_debits.listed(name)}
                for name in body["payment_method_types"]
                if name != "card"
            ],
            problem=problem,
        )

    def _closed(self, session: Record | None) -> Response:
        if session is None:
            return page("closed.html", 404, title="Page not found", text="There is no such Checkout Session.", url=None)
        if session.body["status"] == "complete":
            text = "You have already paid."
            return page("closed.html", 200, title="All done here", text=text, url=_success_url(session))
        text = "Your Checkout Session has expired. Start again from the shop."
        return page("closed.html", _GONE, title="Session expired", text=text, url=session.body["cancel_url"])


def _is_open(session: Record | None) -> bool:
    return session is not None and session.body["status"] == "open"


def _to_success(session: Record) -> Response:
    return RedirectResponse(_success_url(session), _SEE_OTHER)


def _success_url(session: Record) -> str:
    return str(session.body["success_url"]).replace(_SESSION_ID_PLACEHOLDER, session.id)


def _amount(session: Record) -> str:
    return formatted(session.body["amount_total"], session.body["currency"])


def _displayed_item(item: JsonObject) -> JsonObject:
    amount = formatted(item["amount_total"], item["currency"])
    return {"name": item["description"], "quantity": item["quantity"], "amount": amount}


async def _submitted(request: Request) -> PaymentForm:
    form = await request.form()
    names = PaymentForm.__dataclass_fields__
    return PaymentForm(**{name: str(form[name]).strip() for name in names if name in form})


def _validate(submitted: PaymentForm, session: Record, now: int) -> tuple[Instrument | None, str | None]:
    """What was submitted to pay with, or a validation error. A validation error creates no charge."""
    if submitted.method not in session.body["payment_method_types"]:
        return None, "This payment method isn't available."
    number = re.sub(r"[\s-]", "", submitted.number)
    instrument = payment_methods.find_instrument(submitted.method, number)
    if submitted.method != "card":
        return instrument, None if instrument else "Use one of the test accounts that are listed."
    expiry = _EXPIRY.match(submitted.expiry)
    if instrument is None:
        return None, "Your card number is invalid. This is a sandbox: use one of the test cards listed below."
    if expiry is None or not 1 <= int(expiry[1]) <= 12:
        return None, "Your card's expiration date is incomplete."
    if _is_past(int(expiry[1]), int(expiry[2]), now):
        return None, "Your card's expiration date is in the past."
    if not _CVC.match(submitted.cvc):
        return None, "Your card's security code is incomplete."
    return instrument, None


def _is_past(month: int, year: int, now: int) -> bool:
    today = datetime.fromtimestamp(now, UTC)
    full_year = year + 2000 if year < 100 else year
    return (full_year, month) < (today.year, today.month)
