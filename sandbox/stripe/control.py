"""The doors under `/_sandbox/`, for tests and demos: they do what only time, a bank or chance would do."""

import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.stripe import charges, deadlines, disputes, onboarding, payouts, refund_records
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.events import DELIVERY, ENDPOINT
from sandbox.stripe.faults import Faults
from sandbox.stripe.ids import PLATFORM
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.ledger import KIND as TRANSACTION
from sandbox.stripe.request_log import RequestLog
from sandbox.stripe.schema.derive import API_VERSION
from sandbox.stripe.webhook_delivery import Handling, WebhookDelivery

PREFIX = "/_sandbox"


class Control:
    def __init__(self, context: Context, log: RequestLog, delivery: WebhookDelivery, faults: Faults) -> None:
        self._world = context
        self._log = log
        self._courier = delivery
        self._faults = faults

    def routes(self) -> list[Route]:
        doors: list[tuple[str, str, Callable[[JsonObject], JsonObject]]] = [
            ("GET", "/health", self.health),
            ("GET", "/clock", self.read_clock),
            ("POST", "/clock", self.move_clock),
            ("GET", "/log", self.read_log),
            ("GET", "/books", self.books),
            ("GET", "/faults", self.list_faults),
            ("POST", "/faults", self.order_fault),
            ("DELETE", "/faults", self.clear_faults),
            ("GET", "/deliveries", self.deliveries),
            ("POST", "/deliveries", self.handle_deliveries),
            ("POST", "/events/{event}/resend", self.resend),
            ("POST", "/accounts/{account}/onboard", self.onboard),
            ("POST", "/disputes", self.open_dispute),
            ("POST", "/payouts/{payout}/fail", self.fail_payout),
            ("POST", "/refunds/{refund}/succeed", self.succeed_refund),
            ("POST", "/refunds/{refund}/fail", self.fail_refund),
        ]
        return [Route(PREFIX + path, self._door(action), methods=[method]) for method, path, action in doors]

    def health(self, _: JsonObject) -> JsonObject:
        return {"status": "ok", "api_version": API_VERSION, "livemode": False, "now": self._world.now()}

    def read_clock(self, _: JsonObject) -> JsonObject:
        return {"now": self._world.now(), "offset_seconds": self._world.clock.offset_seconds}

    def move_clock(self, given: JsonObject) -> JsonObject:
        """`{"advance_seconds": n}` or `{"to": unix}`; what has become due is done before the answer.

        Time moves in the steps in which something is due, so that each event carries its own time.
        """
        target = self._world.now() + int(given["advance_seconds"]) if "advance_seconds" in given else int(given["to"])
        while (due := self._world.timers.first_before(target)) is not None and due > self._world.now():
            self._advance(due)
            deadlines.meet(self._world)
        self._advance(target)
        deadlines.meet(self._world)
        return self.read_clock(given)

    def read_log(self, _: JsonObject) -> JsonObject:
        return {"requests": list(self._log.latest)}

    def books(self, _: JsonObject) -> JsonObject:
        """Every account's balance and the transactions that it is the sum of, oldest first."""
        by_account: dict[str, list[JsonObject]] = {PLATFORM: []}
        for record in self._world.store.scan(TRANSACTION):
            by_account.setdefault(record.owner, []).append(self._world.view(record))
        return {
            account: {
                "balance": {
                    currency: {"available": available, "pending": pending}
                    for currency, (available, pending) in self._world.books.balance(account).items()
                },
                "transactions": transactions,
            }
            for account, transactions in by_account.items()
        }

    def deliveries(self, _: JsonObject) -> JsonObject:
        """The deliveries that are still owed."""
        return {"owed": [record.body for record in self._world.store.scan(DELIVERY)]}

    def list_faults(self, _: JsonObject) -> JsonObject:
        return {"faults": [fault.described() for fault in self._faults.orders()]}

    def order_fault(self, given: JsonObject) -> JsonObject:
        """`{"kind": "error_after", "path": "/v1/refunds", "times": 1}`; see `faults.py` for all of them."""
        return self._faults.order(given).described()

    def clear_faults(self, given: JsonObject) -> JsonObject:
        self._faults.clear()
        return self.list_faults(given)

    def handle_deliveries(self, given: JsonObject) -> JsonObject:
        """`{"held": true}`, `{"order": "reversed"}`, `{"copies": 2}`, `{"lost": ["charge.*"]}`; `{}` is as usual."""
        self._courier.handle(Handling(**given))
        return self.deliveries(given)

    def resend(self, given: JsonObject) -> JsonObject:
        """Send an event once more to each endpoint, whether it was taken before or not."""
        with self._world.store.transaction():
            for endpoint in self._world.store.newest_first(ENDPOINT):
                self._world.events.owe(given["event"], endpoint.id)
        return self.deliveries(given)

    def onboard(self, given: JsonObject) -> JsonObject:
        """What the onboarding page does, without a browser."""
        with self._world.store.transaction():
            return self._world.view(onboarding.complete(self._world, given["account"]))

    def open_dispute(self, given: JsonObject) -> JsonObject:
        """`{"charge": id, "reason": "fraudulent", "fee_comes_back": true}`: the bank takes the money back."""
        charge = self._world.store.get(charges.KIND, given["charge"])
        reason, comes_back = given.get("reason", "fraudulent"), given.get("fee_comes_back", False)
        with self._world.store.transaction():
            return disputes.open(self._world, charge, reason, fee_comes_back=comes_back).body

    def fail_payout(self, given: JsonObject) -> JsonObject:
        """`{"failure_code": "account_closed"}`: the bank returns a payout, even a paid one."""
        payout = self._world.store.get(payouts.KIND, given["payout"])
        with self._world.store.transaction():
            return payouts.fail(self._world, payout, given.get("failure_code", "could_not_process")).body

    def succeed_refund(self, given: JsonObject) -> JsonObject:
        """A pending refund arrives."""
        refund = self._world.store.get(refund_records.KIND, given["refund"])
        with self._world.store.transaction():
            return refund_records.succeed(self._world, refund).body

    def fail_refund(self, given: JsonObject) -> JsonObject:
        """`{"failure_reason": "lost_or_stolen_card"}`: the student's bank returns a refund, even one that succeeded."""
        refund = self._world.store.get(refund_records.KIND, given["refund"])
        with self._world.store.transaction():
            return refund_records.fail(self._world, refund, given.get("failure_reason", "unknown")).body

    def _advance(self, to: int) -> None:
        seconds = to - self._world.now()
        if seconds < 0:
            raise invalid("The sandbox's clock only moves forward.", param="to")
        with self._world.store.transaction():
            self._world.clock.advance(seconds)

    def _door(self, action: Callable[[JsonObject], JsonObject]) -> Callable[[Request], Awaitable[Response]]:
        async def channel(request: Request) -> Response:
            deadlines.meet(self._world)
            try:
                given = json.loads(await request.body() or b"{}") | request.path_params
                return JSONResponse(action(given))
            except StripeError as error:
                return JSONResponse({"error": error.error}, error.status)
            except (KeyError, TypeError, ValueError) as error:
                return JSONResponse({"error": {"message": f"not understood: {error!r}"}}, 400)

        return channel
