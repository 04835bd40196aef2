"""The domain's and the API's sentences are said in the reader's language. No new one can be forgotten."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from api.http.problems import Kind
from api.pages.forms import is_for_people
from api.pages.sentences import retold
from models.domain.reconciliation import WAY_OUT, DriftKind
from models.languages import LANGUAGES, Language
from sandbox.stack.environment import PROJECT_ROOT
from tests.sentence_patterns import is_known

SOURCES = (
    "api/bookings",
    "api/catalogue",
    "api/http/idempotency.py",
    "api/http/rate_limits.py",
    "api/main.py",
    "api/meetings/routes.py",
    "api/payments/adjustments.py",
    "api/payments/bank_payouts.py",
    "api/payments/disputes.py",
    "api/people/account.py",
    "api/people/instructors.py",
    "api/people/oidc.py",
    "api/people/routes.py",
    "api/people/suspensions.py",
    "api/people/verification.py",
    "api/reconciliation/routes.py",
    "activities/adjustments.py",
    "models/domain/decisions.py",
    "models/domain/refunds.py",
    "workflows/booking",
    "workflows/disputes.py",
)
"""Where pages get the problems of their forms from."""
NOT_ON_PAGES = {
    # Descriptions in OpenAPI, and in Temporal's UI.
    "The body is the current booking.",
    # What only the API does.
    "Required with a price filter.",
    "No fraud warning about this booking has been received.",
    "The warning is dismissed. Send the request again to see the booking without it.",
    "The token may spend",
    "It is no longer offered, so there is nothing to withdraw.",
    "The slot is booked. Cancel the booking first",
    "There is no such reconciliation.",
    # Pages know who decides.
    "This is for the x to decide",
    "The actor's id is not that of the booking's x.",
    "An operator's decision has the operator's id",
    "This is for an operator to decide.",
    # Parts of a sentence, of which the whole is known.
    "Pay or cancel onex.",
    "Pay or cancel booking x firstx.",
    "x To try again, send a new Idempotency-Key.",
    "The x is reported absent; they can contest the report.",
    "At most x at the same time.",
    "At most x in x seconds.",
    "x Try again in x seconds.",
}
_SENTENCE = re.compile(r"[A-Zx].* .*\.", re.DOTALL)
_WORDS_OF_DOCUMENTATION = ("description", "summary", "title", "responses")


@dataclass(frozen=True)
class Someone:
    language: Language
    zone: ZoneInfo


GERMAN = Someone(LANGUAGES["de"], ZoneInfo("Europe/Berlin"))
ENGLISH = Someone(LANGUAGES["en"], ZoneInfo("America/Lima"))


def _stated(path: Path) -> Iterator[str]:
    """The sentences in a module, but for its documentation, with an `x` for each value."""
    tree = ast.parse(path.read_text())
    passed_over = set[int]()
    for node in ast.walk(tree):
        match node:
            case (
                ast.Expr(value=value) | ast.keyword(arg="description" | "summary" | "title" | "responses", value=value)
            ):
                passed_over |= {id(each) for each in ast.walk(value)}
            case ast.Dict(keys=keys, values=values):
                described = (v for k, v in zip(keys, values, strict=True) if _is_constant(k, _WORDS_OF_DOCUMENTATION))
                passed_over |= {id(each) for value in described for each in ast.walk(value)}
            case ast.JoinedStr():
                passed_over |= {id(each) for each in ast.walk(node) if each is not node}
    for node in ast.walk(tree):
        if id(node) not in passed_over and isinstance(node, ast.Constant | ast.JoinedStr):
            text = _text(node)
            if _SENTENCE.fullmatch(text):
                yield text


def _is_constant(key: ast.expr | None, values: tuple[str, ...]) -> bool:
    return isinstance(key, ast.Constant) and key.value in values


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)


def _sources() -> Iterator[tuple[str, str]]:
    for source in SOURCES:
        path = PROJECT_ROOT / source
        for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield from ((str(module.relative_to(PROJECT_ROOT)), text) for text in _stated(module))


def test_every_sentence_that_a_page_can_getis_known() -> None:
    told_by_kind = {text for kind in Kind for text in (kind.title, kind.what_to_do)}
    unknown = {
        (module, text)
        for module, text in _sources()
        if is_for_people(text)
        and text not in told_by_kind
        and not is_known(text)
        and not any(each in text for each in NOT_ON_PAGES)
    }
    assert not unknown


@pytest.mark.parametrize(
    ("sentence", "english", "german"),
    [
        (
            "The session begins at 2026-03-05T17:00:00Z; report on it after that.",
            "The session begins at Thu, 5 Mar 2026, 12:00; report on it after that.",
            "Die Sitzung beginnt am Do., 5. März 2026, 18:00. Melden Sie sie danach.",
        ),
        (
            "The refund must be more than nothing and at most 1000.50 USD.",
            "The refund must be more than nothing and at most US$1,000.50.",
            "Die Erstattung muss größer als null und höchstens 1.000,50 $ sein.",
        ),
        (
            "There is no session to move: this booking waits for the student's payment.",
            "There is no session to move: this booking waits for the student's payment.",
            "Es gibt keine Sitzung zu verlegen: Diese Buchung wartet auf die Zahlung des Schülers.",
        ),
        (
            "No money could be moved: settle_payment: declined: charge_expired_for_capture (request req_1).",
            "No money could be moved. The payment could not be captured "
            "(Stripe's answer: charge_expired_for_capture, request req_1).",
            "Es konnte kein Geld bewegt werden. Die Zahlung konnte nicht eingezogen werden "
            "(Antwort von Stripe: charge_expired_for_capture, Anfrage req_1).",
        ),
        (
            "reconciliation: connected_balance is 80.00 USD in the ledger and 75.00 USD at Stripe",
            "Instructors' balances at Stripe: US$80.00 in the ledger, US$75.00 at Stripe.",
            "Guthaben der Lehrkräfte bei Stripe: 80,00 $ in den Büchern, 75,00 $ bei Stripe.",
        ),
        (
            f"No amount differs. {WAY_OUT[DriftKind.INSTRUCTOR_WORKFLOW]}",
            "No amount differs. Reset or delete the workflow, once the cause is mended.",
            "Kein Betrag weicht ab. Setzen Sie den Workflow zurück oder löschen Sie ihn, sobald die Ursache "
            "behoben ist.",
        ),
        (
            "The decision may still be carried out. Look at the booking, or send it again with the same "
            "Idempotency-Key.",
            "The decision may still be carried out. Look at the booking, or send the form again: nothing happens "
            "twice.",
            "Die Entscheidung wird vielleicht noch ausgeführt. Sehen Sie sich die Buchung an, oder senden Sie das "
            "Formular noch einmal: Es geschieht nichts doppelt.",
        ),
        ("Whatever this is.", None, None),
    ],
)
def test_a_sentence_is_said_in_the_readers_language_and_zone(
    sentence: str, english: str | None, german: str | None
) -> None:
    assert [retold(sentence, ENGLISH), retold(sentence, GERMAN)] == [english, german]
