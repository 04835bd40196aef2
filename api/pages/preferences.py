"""Language and time zone: of the account for people who have one, else of this browser."""

from fastapi import Response
from pydantic import BaseModel

from api.http.database import WithDatabase
from api.pages.browser import local_path
from api.pages.forms import TypedForm
from api.pages.page import WithPage, page_router
from api.people import account
from api.people.schemas import AccountChange, Language, TimeZone

router = page_router()


class _Choice(BaseModel):
    language: Language
    time_zone: TimeZone


@router.post("/preferences")
async def choose(page: WithPage, typed: TypedForm, database: WithDatabase) -> Response:
    choice = typed.read(_Choice)
    if page.account is not None and page.caller is not None:
        change = AccountChange(language=choice.language, time_zone=choice.time_zone)
        await account.update_account(change, page.caller, database)
    else:
        page.choose(choice.language, choice.time_zone)
    return page.redirect(local_path(typed.get("next")))
