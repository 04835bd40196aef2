"""A database with many bookings, which Postgres itself makes: three years of a marketplace, most of it ended.

One instructor has a twentieth of all bookings, and the others have about 200 each. Some students have hundreds. What is
open was booked within the last week. A million take five minutes and 11 GB.
"""

import json
from pathlib import Path

import psycopg

from models.domain.policy import MODERATE, BookingPolicy
from sandbox.stack.postgres import Postgres
from tests.databases import create_database

_ROWS = Path(__file__).with_name("many_bookings.sql")
_INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


def create_with_bookings(postgres: Postgres, name: str, *, template: str, bookings: int, idle_days: int = 0) -> None:
    """Create a database from a migrated template, and fill it. Indexes are built afterwards, which is quicker.

    `idle_days`: nothing was booked for so long.
    """
    create_database(postgres, name, template=template)
    policies = {":policy": BookingPolicy(), ":cancellation": MODERATE}
    rows = _ROWS.read_text().replace(":bookings", str(bookings)).replace(":idle_days", str(idle_days))
    for placeholder, policy in policies.items():
        rows = rows.replace(placeholder, f"'{json.dumps(policy.model_dump(mode='json'))}'::jsonb")
    with psycopg.connect(postgres.conninfo(name), autocommit=True) as connection:
        # As a replica, no trigger is fired: neither foreign keys nor webhooks.
        connection.execute(
            "SET session_replication_role = replica; SET work_mem = '512MB'; SET maintenance_work_mem = '1GB'"
        )
        indexes = connection.execute(_INDEXES.encode()).fetchall()
        for index, _ in indexes:
            connection.execute(f"DROP INDEX {index}".encode())
        for statement in rows.split(";\n"):
            connection.execute(statement.encode())
        for _, definition in indexes:
            connection.execute(definition.encode())
        connection.execute("VACUUM ANALYZE")
