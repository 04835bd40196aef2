"""The control API under `/_sandbox/`, for tests and demos: it advances time, acts as a bank and injects faults."""

import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.stripe import (
    charges,
    checkout_sessions,
    deadlines,
    disputes,
    dynamic_payment_methods,
    early_fraud_warnings,
    holds,
    onboarding,
    payment_flow,
    payouts,
    refund_records,
    settlement,
)
from sandbox.stripe.context import Call, Context
from sandbox.stripe.dispute_bodies import KIND as DISPUTE
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.events import DELIVERY, ENDPOINT
from sandbox.stripe.faults import Faults
from sandbox.stripe.ids import PLATFORM
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.ledger import KIND as TRANSACTION
from sandbox.stripe.payment_methods import find_instrument
from sandbox.stripe.request_log import RequestLog
from sandbox.stripe.schema.derive import API_VERSION
from sandbox.stripe.webhook_delivery import DeliveryOptions, WebhookDelivery

PREFIX = "/_sandbox"


class Control:
    def __init__(self, context: Context, log: RequestLog, delivery: WebhookDelivery, faults: Faults) -> None:
        self._context = context
        self._log = log
        self._delivery = delivery
        self._faults = faults

    def routes(self) -> list[Route]:
        endpoints: list[tuple[str, str, Callable[[JsonObject], JsonObject]]] = [
            ("GET", "/health", self.health),
            ("GET", "/clock", self.read_clock),
            ("POST", "/clock", self.move_clock),
            ("GET", "/log", self.read_log),
            ("GET", "/books", self.ledger),
            ("GET", "/faults", self.list_faults),
            ("POST", "/faults", self.inject_fault),
            ("DELETE", "/faults", self.clear_faults),
            ("GET", "/deliveries", self.deliveries),
            ("POST", "/deliveries", self.configure_deliveries),
            ("POST", "/events/{event}/resend", self.resend),
            ("POST", "/accounts/{account}/onboard", self.onboard),
            ("POST", "/checkout_sessions/{session}/pay", self.pay_session),
            ("POST", "/payment_intents/{intent}/cancel", self.cancel_intent),
            ("POST", "/payment_methods", self.configure_payment_methods),
            ("POST", "/holds", self.configure_holds),
            ("POST", "/disputes", self.open_dispute),
            ("POST", "/disputes/{dispute}/escalate", self.escalate_inquiry),
            ("POST", "/disputes/{dispute}/close", self.close_inquiry),
            ("POST", "/settlement", self.configure_settlement),
            ("POST", "/early_fraud_warnings", self.warn_of_fraud),
            ("POST", "/payouts/{payout}/fail", self.fail_payout),
            ("POST", "/refunds", self.configure_refunds),
            ("POST", "/refunds/{refund}/succeed", self.succeed_refund),
            ("POST", "/refunds/{refund}/fail", self.fail_refund),
        ]
        return [Route(PREFIX + path, self._endpoint(action), methods=[method]) for method, path, action in endpoints]

    def health(self, _: JsonObject) -> JsonObject:
        return {"status": "ok", "api_version": API_VERSION, "livemode": False, "now": self._context.now()}

    def read_clock(self, _: JsonObject) -> JsonObject:
        return {"now": self._context.now(), "offset_seconds": self._context.clock.offset_seconds}

    def move_clock(self, params: JsonObject) -> JsonObject:
        """`{"advance_seconds": n}` or `{"to": unix}`. Everything that becomes due is done before the response.

        The clock stops at every due time on the way, so that each event has its own time.
        """
        now = self._context.now()
        target = now + int(params["advance_seconds"]) if "advance_seconds" in params else int(params["to"])
        while (due := self._context.timers.first_before(target)) is not None and due > self._context.now():
            self._advance(due)
            deadlines.run_due(self._context)
        self._advance(target)
        deadlines.run_due(self._context)
        return self.read_clock(params)

    def read_log(self, _: JsonObject) -> JsonObject:
        return {"requests": list(self._log.latest)}

    def ledger(self, _: JsonObject) -> JsonObject:
        """Every account's balance and its balance transactions, oldest first."""
        by_account: dict[str, list[JsonObject]] = {PLATFORM: []}
        for record in self._context.store.scan(TRANSACTION):
            by_account.setdefault(record.owner, []).append(self._context.view(record))
        return {
            account: {
                "balance": {
                    currency: {"available": available, "pending": pending}
                    for currency, (available, pending) in self._context.ledger.balance(account).items()
                },
                "transactions": transactions,
            }
            for account, transactions in by_account.items()
        }

    def deliveries(self, _: JsonObject) -> JsonObject:
        """The pending deliveries."""
        return {"owed": [record.body for record in self._context.store.scan(DELIVERY)]}

    def list_faults(self, _: JsonObject) -> JsonObject:
        return {"faults": [fault.described() for fault in self._faults.active()]}

    def inject_fault(self, params: JsonObject) -> JsonObject:
        """`{"kind": "error_after", "path": "/v1/refunds", "times": 1}`. `faults.py` lists the kinds."""
        return self._faults.inject(params).described()

    def clear_faults(self, params: JsonObject) -> JsonObject:
        self._faults.clear()
        return self.list_faults(params)

    def configure_deliveries(self, params: JsonObject) -> JsonObject:
        """`{"held": true}`, `{"order": "reversed"}`, `{"copies": 2}`, `{"lost": ["charge.*"]}`. `{}` resets all."""
        self._delivery.configure(DeliveryOptions(**params))
        return self.deliveries(params)

    def resend(self, params: JsonObject) -> JsonObject:
        """Send an event again to each endpoint, whether or not it was accepted before."""
        with self._context.store.transaction():
            for endpoint in self._context.store.newest_first(ENDPOINT):
                self._context.events.enqueue(params["event"], endpoint.id)
        return self.deliveries(params)

    def onboard(self, params: JsonObject) -> JsonObject:
        """Complete onboarding without the page."""
        with self._context.store.transaction():
            return self._context.view(onboarding.complete(self._context, params["account"]))

    def pay_session(self, params: JsonObject) -> JsonObject:
        """`{"method": "sepa_debit", "number": "AT86…", "outcome": "fail"}`: pay without the page.

        `outcome` answers the challenge or the wallet's page, which are completed by default.
        """
        session = self._context.store.get(checkout_sessions.KIND, params["session"])
        method = params.get("method", "card")
        instrument = find_instrument(method, params.get("number", "4242424242424242"))
        is_offered = session.body["status"] == "open" and method in session.body["payment_method_types"]
        if instrument is None or not is_offered:
            raise invalid("This session can't be paid like this.", param="method")
        call = Call(self._context, session.owner, {}, {}, "")
        approved = params.get("outcome", "complete") == "complete"
        with self._context.store.transaction():
            try:
                paid = checkout_sessions.pay(call, session, instrument, "Sandbox Person", None, authenticated=approved)
                if paid.body["status"] == "open":
                    checkout_sessions.fail_authentication(self._context, paid)
            except StripeError as error:
                if not error.keeps_effects:
                    raise
        return self._context.view(self._context.store.get(checkout_sessions.KIND, session.id))

    def cancel_intent(self, params: JsonObject) -> JsonObject:
        """`{"cancellation_reason": "requested_by_customer"}`: somebody cancels a hold in the dashboard."""
        intent = self._context.store.get(payment_flow.INTENT, params["intent"])
        if intent.body["status"] != "requires_capture":
            raise invalid("The dashboard cancels payments that are uncaptured only.")
        with self._context.store.transaction():
            return payment_flow.cancel(self._context, intent, params.get("cancellation_reason")).body

    def configure_payment_methods(self, params: JsonObject) -> JsonObject:
        """`{"country": "FR", "off": ["klarna"]}`: the platform's country, and what its dashboard has turned off."""
        with self._context.store.transaction():
            dynamic_payment_methods.configure(self._context, params.get("country"), params.get("off", []))
        return params

    def configure_holds(self, params: JsonObject) -> JsonObject:
        """`{"extended": true, "card_seconds": 410400}`: grant extended authorizations; shorten holds on cards."""
        with self._context.store.transaction():
            holds.configure(
                self._context, extended=bool(params.get("extended")), card_seconds=params.get("card_seconds")
            )
        return params

    def open_dispute(self, params: JsonObject) -> JsonObject:
        """`{"charge": id, "reason": "fraudulent", "fee_comes_back": true}`: the bank withdraws the charge.

        With `"inquiry": true` it only asks.
        """
        charge = self._context.store.get(charges.KIND, params["charge"])
        reason, options = params.get("reason", "fraudulent"), {"fee_comes_back", "inquiry"} & params.keys()
        with self._context.store.transaction():
            return disputes.open(self._context, charge, reason, **{name: params[name] for name in options}).body

    def escalate_inquiry(self, params: JsonObject) -> JsonObject:
        """The bank turns an inquiry into a dispute."""
        with self._context.store.transaction():
            return disputes.escalate(self._context, self._context.store.get(DISPUTE, params["dispute"])).body

    def close_inquiry(self, params: JsonObject) -> JsonObject:
        """The bank drops an inquiry."""
        with self._context.store.transaction():
            return disputes.close_inquiry(self._context, self._context.store.get(DISPUTE, params["dispute"])).body

    def configure_settlement(self, params: JsonObject) -> JsonObject:
        """`{"currency": "eur", "rates": {"usd": "0.92"}}`: the platform, or an `account`, settles in euros.

        Without `currency`, it settles as charged.
        """
        account, currency, rates = params.get("account", PLATFORM), params.get("currency"), params.get("rates", {})
        with self._context.store.transaction():
            settlement.configure(self._context.store, account, currency, rates)
        return params

    def warn_of_fraud(self, params: JsonObject) -> JsonObject:
        """`{"charge": id, "fraud_type": "misc"}`: the card's bank warns of fraud."""
        charge = self._context.store.get(charges.KIND, params["charge"])
        with self._context.store.transaction():
            return early_fraud_warnings.open(self._context, charge, params.get("fraud_type", "misc")).body

    def fail_payout(self, params: JsonObject) -> JsonObject:
        """`{"failure_code": "account_closed"}`: the bank returns a payout, even a paid one."""
        payout = self._context.store.get(payouts.KIND, params["payout"])
        with self._context.store.transaction():
            return payouts.fail(self._context, payout, params.get("failure_code", "could_not_process")).body

    def configure_refunds(self, params: JsonObject) -> JsonObject:
        """`{"wait_for_balance": true}`: refunds that the platform's balance does not cover wait for it."""
        with self._context.store.transaction():
            refund_records.set_waiting(self._context, bool(params["wait_for_balance"]))
        return params

    def succeed_refund(self, params: JsonObject) -> JsonObject:
        """A pending refund succeeds."""
        refund = self._context.store.get(refund_records.KIND, params["refund"])
        with self._context.store.transaction():
            return refund_records.succeed(self._context, refund).body

    def fail_refund(self, params: JsonObject) -> JsonObject:
        """`{"failure_reason": "lost_or_stolen_card"}`: the student's bank returns a refund, even one that succeeded."""
        refund = self._context.store.get(refund_records.KIND, params["refund"])
        with self._context.store.transaction():
            return refund_records.fail(self._context, refund, params.get("failure_reason", "unknown")).body

    def _advance(self, to: int) -> None:
        seconds = to - self._context.now()
        if seconds < 0:
            raise invalid("The sandbox's clock only moves forward.", param="to")
        with self._context.store.transaction():
            self._context.clock.advance(seconds)

    def _endpoint(self, action: Callable[[JsonObject], JsonObject]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            deadlines.run_due(self._context)
            try:
                params = json.loads(await request.body() or b"{}") | request.path_params
                return JSONResponse(action(params))
            except StripeError as error:
                return JSONResponse({"error": error.error}, error.status)
            except (KeyError, TypeError, ValueError) as error:
                return JSONResponse({"error": {"message": f"not understood: {error!r}"}}, 400)

        return endpoint
