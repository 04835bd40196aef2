"""`./run operator`: adds, lists and revokes operators of the stack of `./run up`, and issues their tokens."""

import os
import sys

from api.people import operators
from sandbox.stack.local import THIS_CHECKOUT
from sandbox.stack.stripe_choice import StackRefusedError


def main() -> int:
    try:
        secrets = THIS_CHECKOUT.read_secrets()
    except StackRefusedError as error:
        print(error, file=sys.stderr)
        return 1
    os.environ |= {
        "HOLDFAST_ENV": "development",
        "DATABASE_URL": secrets.database_url,
        "HOLDFAST_TOKEN_SECRET": secrets.token_secret,
    }
    return operators.main(program="./run operator")


if __name__ == "__main__":
    sys.exit(main())
