"""The ledger balances under random operations, faults and retries. Its invariants are checked after each step.

The checks read through the API, as Holdfast does.
"""

import itertools

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from sandbox.stripe.app import create_app
from tests.sandbox.stripe.in_process import InProcessClient
from tests.sandbox.stripe.platform import API_KEY, Json

WHICH = st.integers(0, 20)
TO = st.sampled_from([None, 0, 1])
AMOUNTS = st.integers(50, 30_000)
SHARES = st.integers(0, 101)
PARTS = st.one_of(st.sampled_from(["all", "one too much"]), st.integers(1, 99))
FAULTS = st.sampled_from([*[None] * 8, "rate_limit", "error_before", "error_after", "drop_before", "drop_after"])
RETRIES = st.integers(0, 2)
CARDS = st.sampled_from(
    ["pm_card_visa", "pm_card_visa", "pm_card_bypassPending", "pm_card_chargeDeclined", "pm_card_createDispute"]
)
NEVER_BEGAN = {"rate_limit", "drop_before"}
DAY = 86_400


Part = str | int


def _part_of(remaining: int, part: Part) -> int:
    """A part of the remaining amount: all of it, one more than that, or a percentage."""
    if isinstance(part, int):
        return remaining * part // 100
    return remaining if part == "all" else remaining + 1


class LedgerMachine(RuleBasedStateMachine):
    """A platform and two connected accounts, with all operations in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.client = InProcessClient(create_app())
        self.keys = itertools.count()
        self.accounts: list[str] = []

    def teardown(self) -> None:
        self.client.close()

    @initialize()
    def open_accounts(self) -> None:
        for _ in range(2):
            account = self.post("/v1/accounts", {"capabilities[transfers][requested]": "true", "country": "US"})
            assert account is not None
            self.client.send("POST", f"/_sandbox/accounts/{account['id']}/onboard")
            self.accounts.append(account["id"])
        manual_payouts = {"settings[payouts][schedule][interval]": "manual"}
        self.post(f"/v1/accounts/{self.accounts[0]}", manual_payouts)
        for to, method in ((0, "automatic"), (1, "manual"), (None, "automatic_async")):
            self.pay(10_007, method, "pm_card_bypassPending", to, 33, None, 0)

    @rule(
        amount=AMOUNTS,
        method=st.sampled_from(["manual", "automatic", "automatic_async"]),
        card=CARDS,
        to=TO,
        fee_share=SHARES,
        fault=FAULTS,
        retries=RETRIES,
    )
    def pay(
        self, amount: int, method: str, card: str, to: int | None, fee_share: int, fault: str | None, retries: int
    ) -> None:
        form = {"amount": amount, "currency": "usd", "confirm": "true", "payment_method": card}
        form["capture_method"] = method
        if to is not None:
            form |= {
                "transfer_data[destination]": self.accounts[to],
                "application_fee_amount": amount * fee_share // 100,
            }
        self.post("/v1/payment_intents", form, fault, retries)

    @rule(
        amount=AMOUNTS,
        method=st.sampled_from(["card", "klarna", "link", "us_bank_account", "failing debit"]),
        capture=st.sampled_from(["manual", "automatic_async"]),
    )
    def pay_on_checkout(self, amount: int, method: str, capture: str) -> None:
        """A payment that stays on the platform, by any method that the session offers."""
        item = "line_items[0][price_data]"
        session = self.post(
            "/v1/checkout/sessions",
            {
                "mode": "payment",
                "success_url": "https://shop.test",
                "payment_intent_data[capture_method]": capture,
                "line_items[0][quantity]": 1,
                f"{item}[currency]": "usd",
                f"{item}[unit_amount]": amount,
                f"{item}[product_data][name]": "One hour of Greek",
            },
        )
        assert session is not None
        accounts = {"us_bank_account": "000123456789", "failing debit": "000111111113"}
        form = {"method": "us_bank_account" if method in accounts else method}
        if method in accounts:
            form["number"] = accounts[method]
        self.client.send("POST", f"/_sandbox/checkout_sessions/{session['id']}/pay", json=form)

    @rule(which=WHICH, part=PARTS, fee_share=st.one_of(st.none(), SHARES), fault=FAULTS, retries=RETRIES)
    def capture(self, which: int, part: Part, fee_share: int | None, fault: str | None, retries: int) -> None:
        if intent := self.one_of("/v1/payment_intents", which, status="requires_capture"):
            amount = _part_of(intent["amount_capturable"], part)
            form = {"amount_to_capture": amount}
            if fee_share is not None:
                form["application_fee_amount"] = amount * fee_share // 100
            self.post(f"/v1/payment_intents/{intent['id']}/capture", form, fault, retries)

    @rule(which=WHICH, fault=FAULTS, retries=RETRIES)
    def capture_in_any_state(self, which: int, fault: str | None, retries: int) -> None:
        if intent := self.one_of("/v1/payment_intents", which):
            self.post(f"/v1/payment_intents/{intent['id']}/capture", {}, fault, retries)

    @rule(which=WHICH, fault=FAULTS, retries=RETRIES)
    def cancel(self, which: int, fault: str | None, retries: int) -> None:
        if intent := self.one_of("/v1/payment_intents", which):
            self.post(f"/v1/payment_intents/{intent['id']}/cancel", {}, fault, retries)

    @rule(which=WHICH, part=PARTS, reverse=st.booleans(), fee=st.booleans(), fault=FAULTS, retries=RETRIES)
    def refund(self, which: int, part: Part, reverse: bool, fee: bool, fault: str | None, retries: int) -> None:
        if charge := self.one_of("/v1/charges", which, captured=True):
            remaining = charge["amount_captured"] - charge["amount_refunded"]
            form = {"charge": charge["id"], "amount": _part_of(remaining, part)}
            form["refund_application_fee"] = str(fee and (reverse or not charge["application_fee"])).lower()
            if charge.get("transfer"):
                form["reverse_transfer"] = str(reverse).lower()
            self.post("/v1/refunds", form, fault, retries)

    @rule(which=WHICH)
    def fail_a_refund(self, which: int) -> None:
        if refund := self.one_of("/v1/refunds", which):
            self.client.send("POST", f"/_sandbox/refunds/{refund['id']}/fail")

    @rule(which=WHICH, part=PARTS, to=st.sampled_from([0, 1]), fault=FAULTS, retries=RETRIES)
    def transfer(self, which: int, part: Part, to: int, fault: str | None, retries: int) -> None:
        if charge := self.one_of("/v1/charges", which, status="succeeded"):
            form = {
                "amount": _part_of(charge["amount_captured"], part),
                "currency": "usd",
                "destination": self.accounts[to],
                "source_transaction": charge["id"],
            }
            self.post("/v1/transfers", form, fault, retries)

    @rule(which=WHICH, part=PARTS, fee=st.booleans(), fault=FAULTS, retries=RETRIES)
    def reverse(self, which: int, part: Part, fee: bool, fault: str | None, retries: int) -> None:
        if transfer := self.one_of("/v1/transfers", which):
            remaining = transfer["amount"] - transfer["amount_reversed"]
            form = {"amount": _part_of(remaining, part), "refund_application_fee": str(fee).lower()}
            self.post(f"/v1/transfers/{transfer['id']}/reversals", form, fault, retries)

    @rule(which=WHICH, part=PARTS, fault=FAULTS, retries=RETRIES)
    def refund_a_fee(self, which: int, part: Part, fault: str | None, retries: int) -> None:
        if fee := self.one_of("/v1/application_fees", which):
            form = {"amount": _part_of(fee["amount"] - fee["amount_refunded"], part)}
            self.post(f"/v1/application_fees/{fee['id']}/refunds", form, fault, retries)

    @rule(which=WHICH)
    def dispute(self, which: int) -> None:
        if charge := self.one_of("/v1/charges", which, captured=True):
            self.client.send("POST", "/_sandbox/disputes", json={"charge": charge["id"]})

    @rule(which=WHICH, evidence=st.sampled_from(["winning_evidence", "losing_evidence", "some"]))
    def answer_a_dispute(self, which: int, evidence: str) -> None:
        if dispute := self.one_of("/v1/disputes", which):
            self.post(f"/v1/disputes/{dispute['id']}", {"evidence[uncategorized_text]": evidence, "submit": "true"})

    @rule(part=PARTS, fault=FAULTS, retries=RETRIES)
    def pay_out(self, part: Part, fault: str | None, retries: int) -> None:
        available = self.get("/v1/balance", self.accounts[0])["available"][0]["amount"]
        self.post(
            "/v1/payouts", {"amount": _part_of(available, part), "currency": "usd"}, fault, retries, self.accounts[0]
        )

    @rule(to=st.sampled_from([0, 1]), which=WHICH)
    def fail_a_payout(self, to: int, which: int) -> None:
        payouts = self.list("/v1/payouts", self.accounts[to])
        if payouts:
            self.client.send("POST", f"/_sandbox/payouts/{payouts[which % len(payouts)]['id']}/fail")

    @rule(days=st.sampled_from([1, 2, 8]))
    def wait(self, days: int) -> None:
        self.client.send("POST", "/_sandbox/clock", json={"advance_seconds": days * DAY})

    @invariant()
    def balances_are_the_sums_of_their_transactions(self) -> None:
        for account in [None, *self.accounts]:
            balance = self.get("/v1/balance", account)
            lines = self.list("/v1/balance_transactions", account)
            assert all(line["net"] == line["amount"] - line["fee"] for line in lines)
            for state in ("available", "pending"):
                total = sum(line["amount"] for line in balance[state])
                assert total == sum(line["net"] for line in lines if line["status"] == state)

    @invariant()
    def amounts_never_exceed_those_they_derive_from(self) -> None:
        for charge in self.list("/v1/charges"):
            refunds = self.list("/v1/refunds", query={"charge": charge["id"]})
            assert 0 <= charge["amount_refunded"] <= charge["amount_captured"] <= charge["amount"]
            assert charge["amount_refunded"] == sum(
                refund["amount"] for refund in refunds if refund["status"] != "failed"
            )
        for transfer in self.list("/v1/transfers"):
            assert 0 <= transfer["amount_reversed"] <= transfer["amount"]
            assert transfer["amount_reversed"] == sum(part["amount"] for part in transfer["reversals"]["data"])
        for fee in self.list("/v1/application_fees"):
            assert 0 <= fee["amount_refunded"] <= fee["amount"]
            assert fee["amount_refunded"] == sum(part["amount"] for part in fee["refunds"]["data"])
            charge = self.get(f"/v1/charges/{fee['originating_transaction']}")
            assert fee["amount"] <= charge["amount_captured"]

    @invariant()
    def money_is_conserved(self) -> None:
        """All balances together are what cardholders paid, less refunds, disputes, Stripe's fees and payouts."""
        charges = self.list("/v1/charges")
        paid = sum(charge["amount_captured"] - charge["amount_refunded"] for charge in charges)
        withdrawn = sum(dispute["amount"] for dispute in self.list("/v1/disputes") if dispute["status"] != "won")
        lines = [line for account in [None, *self.accounts] for line in self.list("/v1/balance_transactions", account)]
        to_stripe = sum(
            part["amount"] for line in lines for part in line["fee_details"] if part["type"] == "stripe_fee"
        )
        to_banks = sum(
            payout["amount"]
            for account in self.accounts
            for payout in self.list("/v1/payouts", account)
            if payout["status"] not in ("failed", "canceled")
        )
        assert sum(line["net"] for line in lines) == paid - withdrawn - to_stripe - to_banks

    def post(
        self, path: str, form: Json, fault: str | None = None, retries: int = 0, account: str | None = None
    ) -> Json | None:
        """Send a request with the fault, and retry it with the same key. A retry must have no further effect.

        Returns the object in the last response, if it is one.
        """
        headers = self.headers(account) | {"Idempotency-Key": f"key-{next(self.keys)}"}
        if fault:
            self.client.send("POST", "/_sandbox/faults", json={"kind": fault, "path": path})
        response = self.client.send("POST", path, data=form, headers=headers)
        self.client.send("DELETE", "/_sandbox/faults")
        for attempt in range(retries):
            # A request that never began may take effect once. One that began must have no further effect.
            before = self.counts() if attempt or fault not in NEVER_BEGAN else None
            response = self.client.send("POST", path, data=form, headers=headers)
            assert before is None or before == self.counts()
        if response is None:
            return None
        assert response.status_code < 500 or fault in ("error_before", "error_after"), response.text
        body: Json = response.json()
        return body if response.status_code == 200 else None

    def one_of(self, path: str, which: int, **fields: object) -> Json | None:
        """One of the objects with these fields, or None if there is none."""
        matching = [item for item in self.list(path) if all(item[name] == fields[name] for name in fields)]
        return matching[which % len(matching)] if matching else None

    def counts(self) -> list[int]:
        """The number of events, and of balance transactions per account."""
        events = self.list("/v1/events")
        return [len(events), *(len(self.list("/v1/balance_transactions", owner)) for owner in [None, *self.accounts])]

    def get(self, path: str, account: str | None = None, query: Json | None = None) -> Json:
        response = self.client.send("GET", path, headers=self.headers(account), params=query)
        assert response is not None
        assert response.status_code == 200, response.text
        body: Json = response.json()
        return body

    def list(self, path: str, account: str | None = None, query: Json | None = None) -> list[Json]:
        """Every object of a list, from all pages."""
        found: list[Json] = []
        while True:
            after = {"starting_after": found[-1]["id"]} if found else {}
            page = self.get(path, account, {"limit": 100} | (query or {}) | after)
            found += page["data"]
            if not page["has_more"]:
                return found

    def headers(self, account: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {API_KEY}"} | ({"Stripe-Account": account} if account else {})


def test_ledger_balances_under_random_operations() -> None:
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
