"""Checks the migrations: they create the schema of the models, and old code can run while a later one runs.

The first is `alembic check` on a throwaway Postgres, the second `squawk` on the SQL of each migration.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from alembic.script import ScriptDirectory

from sandbox.stack import supervision
from sandbox.stack.commands import Command, run_to_end
from sandbox.stack.environment import PROJECT_ROOT, child_environment
from sandbox.stack.migrations import alembic, create_migrated_database
from sandbox.stack.postgres import Postgres

_DATABASE: Final = "check_migrations"
_MIGRATIONS: Final = PROJECT_ROOT / "models" / "migrations"
_MATTERS_OF_TASTE: Final = (
    # Money is bigint. Minutes and counts are not.
    "prefer-bigint-over-int",
    # A currency has three letters.
    "prefer-text-field",
)


async def check_migrations() -> int:
    """Raises: StartupError, with Alembic's or squawk's output, if a check fails."""
    with tempfile.TemporaryDirectory(prefix="holdfast-check-") as directory:
        server = Postgres(Path(directory) / "postgres", log=Path(directory) / "postgres.log")
        try:
            await server.start()
            await create_migrated_database(server, _DATABASE)
            print((await alembic(server, _DATABASE, "check")).strip())
            for revision in _revisions():
                await lint(await alembic(server, _DATABASE, "upgrade", revision, "--sql"))
        finally:
            await server.stop()
    return 0


async def lint(sql: str) -> None:
    """Whether old code can run while this SQL does. Raises: StartupError, with what squawk says."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql", prefix="holdfast-migration-") as file:
        file.write(sql)
        file.flush()
        squawk = (str(Path(sys.executable).parent / "squawk"), f"--exclude={','.join(_MATTERS_OF_TASTE)}")
        command = Command(
            argv=[*squawk, "--pg-version=18.0", "--reporter=gcc", file.name],
            env=child_environment({}),
            cwd=PROJECT_ROOT,
        )
        await run_to_end("squawk", command)


def _revisions() -> Iterator[str]:
    """Each on its own: squawk takes a table that is created in the same SQL for one that nobody uses yet."""
    for each in ScriptDirectory(str(_MIGRATIONS)).walk_revisions():
        yield f"{each.down_revision}:{each.revision}" if each.down_revision else each.revision


if __name__ == "__main__":
    sys.exit(supervision.run(check_migrations()))
