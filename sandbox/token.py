"""`./run token`: a bearer token for the stack of `./run up`."""

import argparse
import sys
from datetime import timedelta
from typing import Final
from uuid import UUID

import psycopg

from api.http.auth import issue_token
from models.domain.actors import Role
from sandbox.stack.local import THIS_CHECKOUT
from sandbox.stack.stripe_choice import StackRefusedError

_LIFETIME: Final = timedelta(hours=1)
_ROLES: Final = (Role.STUDENT, Role.INSTRUCTOR, Role.OPERATOR)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run token", description=__doc__)
    parser.add_argument("--role", required=True, choices=[role.value for role in _ROLES])
    parser.add_argument("--id", required=True, type=UUID, help="of the student, instructor or operator")
    arguments = parser.parse_args()
    try:
        secrets = THIS_CHECKOUT.read_secrets()
    except StackRefusedError as error:
        print(error, file=sys.stderr)
        return 1
    role = Role(arguments.role)
    if role is Role.OPERATOR:
        _ensure_operator(secrets.database_url, arguments.id)
    print(issue_token(secrets.token_secret, role, arguments.id, _LIFETIME))
    return 0


def _ensure_operator(database_url: str, operator_id: UUID) -> None:
    """Any id will do on this machine: an operator that is not there yet is added."""
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute(
            "INSERT INTO operator (id, name, created_at) VALUES (%s, %s, now()) ON CONFLICT DO NOTHING",
            (operator_id, f"local {operator_id}"),
        )


if __name__ == "__main__":
    sys.exit(main())
