"""What a scenario did and what it was answered, without what differs between two runs: ids, times and texts."""

import json
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stripe import StripeClient, StripeError, StripeObject

_EXPECTED = Path(__file__).parent / "transcripts"

# What an object is known by, beside its kind.
_TOLD = (
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
    """The steps of one scenario, in order, and the events that came of them, as a multiset."""

    client: StripeClient
    steps: list[dict[str, Any]] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    async def step(self, name: str, call: Awaitable[Any]) -> Any:
        """Make a call and note what became of it; its answer, or None where it was refused."""
        try:
            answer = await call
        except StripeError as error:
            self._note_refusal(name, error)
            return None
        self.steps.append({"step": name, "answer": _told(answer)})
        self._remember(answer)
        return answer

    async def collect_events(self) -> None:
        """The types of the events about the objects that were seen."""
        page = await self.client.v1.events.list_async({"limit": 100})
        types = [event.type async for event in page.auto_paging_iter() if self._is_ours(event.data.object)]
        self.events = dict(sorted(Counter(types).items()))

    def as_json(self) -> str:
        return json.dumps({"steps": self.steps, "events": self.events}, indent=1) + "\n"

    def write(self, directory: Path, name: str) -> None:
        (directory / f"{name}.json").write_text(self.as_json(), encoding="utf-8")

    def _note_refusal(self, name: str, error: StripeError) -> None:
        told = error.error
        names = ("type", "code", "decline_code", "param")
        values = {part: getattr(told, part, None) for part in names} if told is not None else {}
        self.steps.append({"step": name, "status": error.http_status} | {k: v for k, v in values.items() if v})
        intent = getattr(told, "payment_intent", None)
        if intent is not None:
            self._remember(intent)

    def _remember(self, answer: StripeObject) -> None:
        for name in ("id", "latest_charge", "payment_intent", "charge", "transfer", "destination_payment"):
            value = answer.get(name) if isinstance(answer, dict) else getattr(answer, name, None)
            if isinstance(value, str):
                self._seen.add(value)

    def _is_ours(self, subject: Any) -> bool:
        return getattr(subject, "id", None) in self._seen


def expected(name: str) -> str:
    return (_EXPECTED / f"{name}.json").read_text(encoding="utf-8")


def _told(answer: Any) -> dict[str, Any]:
    found = {"object": answer.object}
    for name in _TOLD:
        value = getattr(answer, name, None)
        if value is not None and not isinstance(value, StripeObject):
            found[name] = value
    return found
