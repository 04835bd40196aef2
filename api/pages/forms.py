"""What somebody typed into a form: read by the API's own models, and shown again with what is wrong.

A form's handler calls the API's function and catches the `Problem`:

    try:
        await routes.sign_up(typed.read(SignUp), ...)
    except Problem as problem:
        return page.show("sign_up.html", problem.status_code, typed=typed.refused(problem, page))
    return page.redirect("/offerings", page.say("Welcome."))
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar
from uuid import uuid4

from fastapi import Depends, Request
from pydantic import TypeAdapter, ValidationError

from api.http.problems import Kind, Problem
from api.pages.browser import FORM_KEY
from api.pages.sentences import Reader, retold
from models.languages import Language

M = TypeVar("M")

_UNKNOWN_OUTCOME = 500
"""From this status on, the first request may still be carried out: the form keeps its key, so that the next one joins
it."""


class InvalidForm(Problem):
    """A form that its model refuses, with pydantic's type of error for each field."""

    def __init__(self, types: Mapping[str, str]) -> None:
        super().__init__(Kind.REQUEST_INVALID)
        self.types = types


class Typed:
    """The fields of a form by name. A field that was left empty counts as not sent."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._sent = dict(values or {})
        self.values = {name: value for name, value in self._sent.items() if value.strip()}
        self.problem: str | None = None
        self.errors: dict[str, str] = {}
        self._keeps_key = False

    def get(self, name: str, default: str = "") -> str:
        """`default` if the form has no such field: one that somebody has emptied stays empty."""
        return self.values.get(name, "" if name in self._sent else default)

    @property
    def key(self) -> str:
        """The form's idempotency key. A form that was refused is another request."""
        return self.get(FORM_KEY) if self._keeps_key else uuid4().hex

    def read(self, model: type[M], **given: Any) -> M:
        """The form as one of the API's models, with the values in `given` besides. Raises `InvalidForm`."""
        adapter = TypeAdapter(model)
        names = adapter.json_schema()["properties"]
        try:
            return adapter.validate_python({name: self.values[name] for name in names if name in self.values} | given)
        except ValidationError as error:
            types = {_field(each): each["type"] for each in error.errors(include_url=False)}
            raise InvalidForm(types) from error

    def refused(self, problem: Problem, reader: Reader) -> Self:
        """The same form with the problem's sentence, and an error at each field that has to be corrected."""
        language = reader.language
        self.problem = sentence(problem.kind, str(problem.detail), reader)
        self._keeps_key = problem.status_code >= _UNKNOWN_OUTCOME
        if isinstance(problem, InvalidForm):
            self.errors = {name: _correction(name, type_, language) for name, type_ in problem.types.items()}
        else:
            reported: Any = problem.members.get("errors", ())
            names = (each["why"].split(" ")[0] if each["where"] == "body" else each["where"] for each in reported)
            self.errors = {name: _correction(name, "", language) for name in (each.split("/")[-1] for each in names)}
        return self


async def _typed(request: Request) -> Typed:
    return Typed(request.state.typed)


TypedForm = Annotated[Typed, Depends(_typed)]


def sentence(kind: Kind, detail: str, reader: Reader) -> str:
    """A problem for people: its title, and its detail where that is in their language and not about the API."""
    say = reader.language.gettext
    if kind is Kind.REQUEST_INVALID:
        return say("Something is missing or not valid. Correct it, and send the form again.")
    title = say(kind.title)
    if told := retold(detail, reader):
        return f"{title} {told}"
    told = say(detail)
    is_theirs = told != detail or reader.language.code == "en"
    return f"{title} {told}" if detail != kind.title and is_for_people(detail) and is_theirs else title


def is_for_people(detail: str) -> bool:
    """Whether a problem's detail is not about the API's routes and members."""
    return bool(detail) and "/v1/" not in detail and "`" not in detail


def _field(error: Any) -> str:
    """A model's own check has no field: its message begins with the name."""
    return str(error["loc"][0]) if error["loc"] else str(error["msg"]).removeprefix("Value error, ").split(" ")[0]


def _correction(name: str, type_: str, language: Language) -> str:
    say = language.gettext
    to_choose = {"sure": say("Check the box to confirm."), "slot_id": say("Choose a time.")}
    if name in to_choose:
        return to_choose[name]
    if type_ in ("missing", "string_too_short"):
        return say("Fill in this field.")
    if "password" in name:
        return say("Choose another password: at least 15 characters, and not one that is easy to guess.")
    if type_ in ("string_too_long", "too_long"):
        return say("This is too long.")
    return {
        "email": say("Enter an email address, such as name@example.com."),
        "amount": say("Enter an amount, such as 25.00, with no more decimals than the currency has."),
        "currency": say("Enter the three letters of a currency, such as usd."),
        "url": say("Enter an address that begins with https:// or webcal://."),
        "without": say("Enter days such as 2027-01-04, with a comma between them."),
        "last_day": say("Choose a day that is not before the first one."),
        "until": say("Choose a day and a time."),
    }.get(name, say("This is not valid. Correct it."))
