"""The hosted Checkout page: a card number, what it costs, and Pay; 3-D Secure for the cards that ask for it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.stripe import cards, checkout_sessions, deadlines, payment_flow, payment_methods
from sandbox.stripe.cards import Card
from sandbox.stripe.checkout_sessions import CHECKOUT_PATH, KIND
from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.money import displayed
from sandbox.stripe.pages.rendering import page
from sandbox.stripe.store import Record

_SESSION_ID_PLACEHOLDER = "{CHECKOUT_SESSION_ID}"
_EXPIRY = re.compile(r"^\s*(\d{1,2})\s*/\s*(\d{2}|\d{4})\s*$")
_CVC = re.compile(r"^\d{3,4}$")

_SEE_OTHER = 303
_PAYMENT_REQUIRED = 402
_GONE = 410


@dataclass(frozen=True)
class Entered:
    """What the form held. A field that the form did not send at all counts as filled in."""

    number: str = ""
    expiry: str = "12/34"
    cvc: str = "123"
    name: str = "Sandbox Person"
    email: str = ""


class CheckoutPages:
    """Pages at a session's own address, whose last part is the session's unguessable id."""

    def __init__(self, context: Context) -> None:
        self._world = context

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
        entered = await _entered(request)
        card, problem = _checked(entered, self._world.now())
        if card is None:
            return self._form(session, problem, entered)
        try:
            session = self._attempt(request, session, card, entered)
        except StripeError as error:
            return self._form(self._session(request), str(error), entered)
        if _is_open(session):
            return RedirectResponse(f"{request.url.path}/challenge", _SEE_OTHER)
        return _to_success(session)

    async def show_challenge(self, request: Request) -> Response:
        session = self._session(request)
        if session is None or self._waiting_method(session) is None:
            return self._form(session) if _is_open(session) else self._closed(session)
        return page("challenge.html", amount=_amount(session), action=request.url.path)

    async def answer_challenge(self, request: Request) -> Response:
        session = self._session(request)
        method = self._waiting_method(session) if session else None
        if session is None or method is None:
            return self._form(session) if _is_open(session) else self._closed(session)
        outcome = (await request.form()).get("outcome")
        if outcome != "complete":
            with self._world.store.transaction():
                refusal = checkout_sessions.refuse_authentication(self._world, session)
            return self._form(self._session(request), str(refusal))
        entered = Entered(
            name=session.body["customer_details"]["name"], email=session.body["customer_details"]["email"]
        )
        session = self._attempt(request, session, payment_methods.card_of(method), entered, authenticated=True)
        return _to_success(session)

    def _attempt(
        self, request: Request, session: Record, card: Card, entered: Entered, *, authenticated: bool = False
    ) -> Record:
        """Pay within one transaction; a decline is recorded before it is raised."""
        call = Call(self._world, session.owner, {}, {}, str(request.base_url).rstrip("/"))
        with self._world.store.transaction():
            try:
                return checkout_sessions.pay(
                    call, session, card, entered.name, entered.email or None, authenticated=authenticated
                )
            except StripeError as error:
                if not error.keeps_effects:
                    raise
                declined = error
        raise declined

    def _session(self, request: Request) -> Record | None:
        deadlines.meet(self._world)
        return self._world.store.find(KIND, request.path_params["session"])

    def _waiting_method(self, session: Record) -> Record | None:
        """The payment method that waits for 3-D Secure, if one does."""
        if session.body["payment_intent"] is None or not _is_open(session):
            return None
        intent = self._world.store.get(payment_flow.INTENT, session.body["payment_intent"])
        if intent.body["status"] != "requires_action":
            return None
        return self._world.store.get(payment_methods.KIND, intent.body["payment_method"])

    def _form(self, session: Record | None, problem: str | None = None, entered: Entered | None = None) -> Response:
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
            cards=cards.listed(),
            disclosure=submit["message"] if submit else None,
            email=(entered.email if entered else None) or body["customer_email"] or "",
            is_hold=session.hidden["intent_data"].get("capture_method") == "manual",
            items=[_shown(item) for item in session.hidden["items"]],
            name=entered.name if entered else "",
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
    return displayed(session.body["amount_total"], session.body["currency"])


def _shown(item: JsonObject) -> JsonObject:
    amount = displayed(item["amount_total"], item["currency"])
    return {"name": item["description"], "quantity": item["quantity"], "amount": amount}


async def _entered(request: Request) -> Entered:
    form = await request.form()
    names = Entered.__dataclass_fields__
    return Entered(**{name: str(form[name]).strip() for name in names if name in form})


def _checked(entered: Entered, now: int) -> tuple[Card | None, str | None]:
    """The test card that was entered, or what is wrong with the fields. None of this reaches a charge."""
    card = cards.BY_NUMBER.get(re.sub(r"[\s-]", "", entered.number))
    expiry = _EXPIRY.match(entered.expiry)
    if card is None:
        return None, "Your card number is invalid. This is a sandbox: use one of the test cards listed below."
    if expiry is None or not 1 <= int(expiry[1]) <= 12:
        return None, "Your card's expiration date is incomplete."
    if _is_past(int(expiry[1]), int(expiry[2]), now):
        return None, "Your card's expiration date is in the past."
    if not _CVC.match(entered.cvc):
        return None, "Your card's security code is incomplete."
    return card, None


def _is_past(month: int, year: int, now: int) -> bool:
    today = datetime.fromtimestamp(now, UTC)
    full_year = year + 2000 if year < 100 else year
    return (full_year, month) < (today.year, today.month)
