"""Checks that the migrations create the schema of the models: `alembic check` on a throwaway Postgres."""

import sys
import tempfile
from pathlib import Path
from typing import Final

from sandbox.stack import supervision
from sandbox.stack.migrations import alembic, create_migrated_database
from sandbox.stack.postgres import Postgres

_DATABASE: Final = "check_migrations"


async def check_migrations() -> int:
    """Raises: StartupError, with Alembic's output, if the two differ."""
    with tempfile.TemporaryDirectory(prefix="holdfast-check-") as directory:
        server = Postgres(Path(directory) / "postgres", log=Path(directory) / "postgres.log")
        try:
            await server.start()
            await create_migrated_database(server, _DATABASE)
            print((await alembic(server, _DATABASE, "check")).strip())
        finally:
            await server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(supervision.run(check_migrations()))
