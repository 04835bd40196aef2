"""A migration that would stop the old code is refused."""

import pytest

from sandbox.check_migrations import lint
from sandbox.stack.commands import StartupError

_BEGIN = "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s'; "
"""As Alembic prints a migration."""


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE INDEX i ON booking_request (title);", "require-concurrent-index-creation"),
        ("ALTER TABLE booking_request ADD COLUMN note text NOT NULL;", "adding-required-field"),
        ("ALTER TABLE booking_request DROP COLUMN title;", "ban-drop-column"),
        ("ALTER TABLE booking_request RENAME COLUMN title TO name;", "renaming-column"),
        ("ALTER TABLE booking_request ADD CONSTRAINT c CHECK (price_minor > 0);", "constraint-missing-not-valid"),
    ],
)
async def test_migration_that_old_code_cannot_live_with_is_refused(statement: str, rule: str) -> None:
    with pytest.raises(StartupError, match=rule):
        await lint(f"{_BEGIN}{statement} COMMIT;")


async def test_migration_that_old_code_can_live_with_passes() -> None:
    await lint(f"{_BEGIN}ALTER TABLE booking_request ADD COLUMN note text; COMMIT;")
