"""`docs/mail.md` says who is told what, as the code does."""

import re
from pathlib import Path

from models.domain.notifications import (
    ABOUT_THE_ACCOUNT,
    BEFORE_THE_SESSION,
    ON_NO_SHOW_REPORTED,
    ON_RESCHEDULING,
    TOLD,
    Notification,
    NotificationKind,
    Recipient,
)

PAGE = (Path(__file__).parents[3] / "docs" / "mail.md").read_text()
TEMPLATES = Path(__file__).parents[3] / "activities" / "mail" / "templates"


def _given() -> set[Notification]:
    moves = {each for people in TOLD.values() for told in people.values() for each in told}
    to_both = {
        Notification(notification, recipient)
        for notification in {*BEFORE_THE_SESSION, *ABOUT_THE_ACCOUNT}
        for recipient in Recipient
    }
    return (
        moves
        | to_both
        | {*ON_RESCHEDULING, *ON_NO_SHOW_REPORTED, Notification(NotificationKind.COMPLETION_DUE, Recipient.INSTRUCTOR)}
    )


def test_the_table_says_who_is_told_what() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes|) ?\| (yes|) ?\| .+ \|$", PAGE, re.MULTILINE)
    listed = {
        Notification(NotificationKind(notification), recipient)
        for notification, *answers in rows
        for recipient, answer in zip((Recipient.STUDENT, Recipient.INSTRUCTOR), answers, strict=True)
        if answer
    }
    assert listed == _given()


def test_every_notice_has_its_template_and_every_template_its_notice() -> None:
    assert {path.stem for path in TEMPLATES.glob("*.txt")} - {"layout"} == set(NotificationKind)
