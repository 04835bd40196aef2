"""The transcript of a scenario: its calls and responses without ids, times and texts, which differ between runs."""

import json
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stripe import StripeClient, StripeError, StripeObject

_EXPECTED = Path(__file__).parent / "transcripts"

# The fields that a transcript has, besides `object`.
_FIELDS = (
    "actionable",
    "amount",
    "amount_capturable",
    "amount_captured",
    "amount_received",
    "amount_refunded",
    "amount_reversed",
    "application_fee_amount",
    "cancellation_reason",
    "captured",
    "currency",
    "deleted",
    "fee",
    "net",
    "paid",
    "payment_status",
    "refunded",
    "reversed",
    "status",
    "type",
)


@dataclass
class Transcript:
    """The steps of a scenario, in order, and the number of events by type."""

    client: StripeClient
    steps: list[dict[str, Any]] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    async def step(self, name: str, call: Awaitable[Any]) -> Any:
        """Make a call and record its result. Returns the response, or None for an error."""
        try:
            response = await call
        except StripeError as error:
            self._record_error(name, error)
            return None
        self.steps.append({"step": name, "answer": _summary(response)})
        self._record_ids(response)
        return response

    async def collect_events(self) -> None:
        """Record the events about the objects in the responses."""
        page = await self.client.v1.events.list_async({"limit": 100})
        types = [event.type async for event in page.auto_paging_iter() if self._is_ours(event.data.object)]
        self.events = dict(sorted(Counter(types).items()))

    def as_json(self) -> str:
        return json.dumps({"steps": self.steps, "events": self.events}, indent=1) + "\n"

    def write(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{name}.json").write_text(self.as_json(), encoding="utf-8")

    def _record_error(self, name: str, error: StripeError) -> None:
        details = error.error
        names = ("type", "code", "decline_code", "advice_code", "param")
        values = {part: getattr(details, part, None) for part in names} if details is not None else {}
        values["should_retry"] = (error.headers or {}).get("Stripe-Should-Retry")
        self.steps.append({"step": name, "status": error.http_status} | {k: v for k, v in values.items() if v})
        intent = getattr(details, "payment_intent", None)
        if intent is not None:
            self._record_ids(intent)

    def _record_ids(self, response: StripeObject) -> None:
        for name in ("id", "latest_charge", "payment_intent", "charge", "transfer", "destination_payment"):
            value = response.get(name) if isinstance(response, dict) else getattr(response, name, None)
            if isinstance(value, str):
                self._seen.add(value)

    def _is_ours(self, subject: Any) -> bool:
        return getattr(subject, "id", None) in self._seen


def expected(name: str) -> str:
    return (_EXPECTED / f"{name}.json").read_text(encoding="utf-8")


def _summary(response: Any) -> dict[str, Any]:
    found = {"object": response.object}
    for name in _FIELDS:
        value = getattr(response, name, None)
        if value is not None and not isinstance(value, StripeObject):
            found[name] = value
    return found
