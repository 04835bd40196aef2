"""`docs/mail.md` lists the notifications and their recipients as the code defines them."""

import re
from pathlib import Path

from models.domain.notifications import (
    ABOUT_PROPOSALS,
    ABOUT_THE_ACCOUNT,
    BEFORE_THE_SESSION,
    NOTIFICATIONS,
    ON_NO_SHOW_REPORTED,
    ON_RENEWAL,
    ON_RENEWED,
    ON_REVIEW,
    Notification,
    NotificationKind,
    Recipient,
)

PAGE = (Path(__file__).parents[3] / "docs" / "mail.md").read_text()
TEMPLATES = Path(__file__).parents[3] / "activities" / "mail" / "templates"


def _defined() -> set[Notification]:
    moves = {each for people in NOTIFICATIONS.values() for told in people.values() for each in told}
    proposals = {each for people in ABOUT_PROPOSALS.values() for each in people}
    to_both = {
        Notification(notification, recipient)
        for notification in {*BEFORE_THE_SESSION, *ABOUT_THE_ACCOUNT} - {NotificationKind.ADDRESS_VERIFICATION}
        for recipient in Recipient
    }
    return (
        moves
        | to_both
        | {
            *proposals,
            *ON_NO_SHOW_REPORTED,
            *ON_REVIEW,
            *ON_RENEWAL,
            *ON_RENEWED,
            Notification(NotificationKind.COMPLETION_DUE, Recipient.INSTRUCTOR),
            Notification(NotificationKind.ADDRESS_VERIFICATION, Recipient.STUDENT),
        }
    )


def test_table_lists_every_notification_with_its_recipients() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes|) ?\| (yes|) ?\| .+ \|$", PAGE, re.MULTILINE)
    listed = {
        Notification(NotificationKind(notification), recipient)
        for notification, *cells in rows
        for recipient, cell in zip((Recipient.STUDENT, Recipient.INSTRUCTOR), cells, strict=True)
        if cell
    }
    assert listed == _defined()


def test_every_notification_has_a_template_and_every_template_a_notification() -> None:
    assert {path.stem for path in TEMPLATES.glob("*.txt")} - {"layout"} == set(NotificationKind)
