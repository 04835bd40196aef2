"""The role of the API and the worker can use every table, and cannot get around the append-only triggers."""

from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql
from sqlmodel import SQLModel

import models.tables  # noqa: F401 - fills the metadata

APPEND_ONLY = ("attendance_event", "audit_event", "ledger_entry", "ledger_transaction")
READ_ONLY = ("instructor_balance", "operator")
REFUSED = (
    "ALTER TABLE {} DISABLE TRIGGER append_only",
    "ALTER TABLE {} DISABLE TRIGGER ALL",
    "DROP TRIGGER append_only ON {}",
    "CREATE RULE nothing AS ON INSERT TO {} DO INSTEAD NOTHING",
    "ALTER TABLE {} RENAME TO hidden",
    "DROP TABLE {}",
    "TRUNCATE {}",
    "DELETE FROM {}",
)


def _conninfo(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


@pytest.fixture
def program(program_url: str) -> psycopg.Connection:
    return psycopg.connect(_conninfo(program_url), autocommit=True)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", REFUSED)
def test_an_append_only_table_stays_so(program: psycopg.Connection, table: str, statement: str) -> None:
    with program, pytest.raises(errors.InsufficientPrivilege):
        program.execute(sql.SQL(statement).format(sql.Identifier(table)))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET action = 'nothing'",
        "UPDATE ledger_entry SET amount_minor = 1",
        "UPDATE ledger_transaction SET kind = 'captured'",
        "UPDATE attendance_event SET kind = 'left'",
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
        "CREATE TABLE mine ()",
        "CREATE ROLE another SUPERUSER",
        "SET ROLE holdfast",
        "SELECT * FROM pg_authid",
    ],
)
def test_the_rights_of_the_owner_are_refused(program: psycopg.Connection, statement: str) -> None:
    with program, pytest.raises(errors.InsufficientPrivilege):
        program.execute(statement.encode())


def test_an_unbalanced_transaction_is_refused_beside_a_temporary_ledger(program: psycopg.Connection) -> None:
    """A temporary table comes first on the search path: the trigger must not read it."""
    id = uuid4()
    with program:
        program.execute(
            "INSERT INTO instructor (id, email, name, time_zone, created_at) VALUES (%s, 'i', 'I', 'UTC', now())", [id]
        )
        program.execute("CREATE TEMPORARY TABLE ledger_entry (transaction_id uuid, currency text, amount_minor bigint)")
        program.execute("INSERT INTO ledger_entry VALUES (%s, 'usd', 0)", [id])
        with pytest.raises(errors.CheckViolation, match="does not sum to zero"):
            program.execute(
                "INSERT INTO ledger_transaction (id, kind, subject, instructor_id, at)"
                " VALUES (%(id)s, 'captured', 'ch_1', %(id)s, now())",
                {"id": id},
            )


@pytest.mark.parametrize("table", sorted(SQLModel.metadata.tables))
def test_every_table_is_granted(program: psycopg.Connection, table: str) -> None:
    writes = "" if table in READ_ONLY else ", INSERT" if table in APPEND_ONLY else ", INSERT, UPDATE, DELETE"
    expected = set(f"SELECT{writes}".split(", "))
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    with program:
        granted = {
            right
            for right in rights
            if program.execute("SELECT has_table_privilege(%s, %s)", (table, right)).fetchone() == (True,)
        }
    assert granted == expected
