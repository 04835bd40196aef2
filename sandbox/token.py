"""`./run token`: a bearer token for the stack of `./run up`."""

import argparse
import sys
from datetime import timedelta
from typing import Final
from uuid import UUID

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
        secret = THIS_CHECKOUT.read_token_secret()
    except StackRefusedError as error:
        print(error, file=sys.stderr)
        return 1
    print(issue_token(secret, Role(arguments.role), arguments.id, _LIFETIME))
    return 0


if __name__ == "__main__":
    sys.exit(main())
