"""The operators' command: add, list and revoke operators, and issue their tokens.

    python -m api.people.operators add --name NAME
    python -m api.people.operators list
    python -m api.people.operators revoke --id ID
    python -m api.people.operators token --id ID [--hours 1..12]

The first three take `DATABASE_URL` of the tables' owner: the API's own role can only read operators. `token` takes
`HOLDFAST_TOKEN_SECRET`, too. With an identity provider, its operators are used, and none of these.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import ProgrammingError
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.auth import issue_token
from api.settings import TokenSettings
from models.db import build_engine
from models.domain.actors import PLATFORM, Role, Subject
from models.domain.messages import Channel
from models.settings import RuntimeSettings
from models.startup_check import check_settings
from models.tables.audit import event_about
from models.tables.operators import Operator

_NAME_LENGTH = 200
_LONGEST_HOURS = 12


class OperatorRefused(Exception):
    """The message says why."""


async def add(session: AsyncSession, operator: Operator) -> None:
    """Raises `OperatorRefused` if the name is taken."""
    same_name = select(Operator.id).where(col(Operator.name) == operator.name)
    if (await session.exec(same_name)).first():
        raise OperatorRefused("There is an operator with this name. Revoked operators keep theirs.")
    session.add(operator)
    session.add(
        event_about(Subject.OPERATOR, operator.id, "operator.added", PLATFORM, Channel.COMMAND, operator.created_at)
    )


async def revoke(session: AsyncSession, operator_id: UUID, now: datetime) -> None:
    """Raises `OperatorRefused` if there is no such operator, or not any more."""
    is_current = (col(Operator.id) == operator_id, col(Operator.revoked_at).is_(None))
    if not (await session.exec(update(Operator).where(*is_current).values(revoked_at=now))).rowcount:
        raise OperatorRefused("There is no such operator, or not any more.")
    session.add(event_about(Subject.OPERATOR, operator_id, "operator.revoked", PLATFORM, Channel.COMMAND, now))


async def _run(arguments: argparse.Namespace, database_url: str) -> str:
    engine = build_engine(database_url)
    try:
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            match arguments.command:
                case "add":
                    operator = Operator(name=arguments.name, created_at=datetime.now(UTC))
                    await add(session, operator)
                    return str(operator.id)
                case "revoke":
                    await revoke(session, arguments.id, datetime.now(UTC))
                    return f"{arguments.id} is revoked."
                case "list":
                    operators = await session.exec(select(Operator).order_by(col(Operator.created_at)))
                    return "\n".join(map(_line, operators))
                case _:
                    return await _token(session, arguments.id, timedelta(hours=arguments.hours))
    finally:
        await engine.dispose()


async def _token(session: AsyncSession, operator_id: UUID, lifetime: timedelta) -> str:
    operator = await session.get(Operator, operator_id)
    if operator is None or operator.revoked_at is not None:
        raise OperatorRefused("There is no such operator, or not any more.")
    secret = TokenSettings().holdfast_token_secret.get_secret_value()
    return issue_token(secret, Role.OPERATOR, operator_id, lifetime)


def _line(operator: Operator) -> str:
    until = f"  revoked {operator.revoked_at:%Y-%m-%d %H:%M}" if operator.revoked_at else ""
    return f"{operator.id}  {operator.name}  since {operator.created_at:%Y-%m-%d}{until}"


def _name(text: str) -> str:
    name = text.strip()
    if not (name and name.isprintable() and len(name) <= _NAME_LENGTH):
        raise argparse.ArgumentTypeError(f"1 to {_NAME_LENGTH} printable characters")
    return name


def _arguments(argv: Sequence[str] | None, program: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=program, description="Add, list and revoke operators.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("add", help="add an operator; prints the id").add_argument("--name", type=_name, required=True)
    commands.add_parser("list", help="list all operators")
    commands.add_parser("revoke", help="end an operator's tokens at once").add_argument(
        "--id", type=UUID, required=True
    )
    token = commands.add_parser("token", help="print a bearer token")
    token.add_argument("--id", type=UUID, required=True)
    token.add_argument("--hours", type=int, choices=range(1, _LONGEST_HOURS + 1), default=1, help="1 to 12; default 1")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, program: str = "python -m api.people.operators") -> int:
    arguments = _arguments(argv, program)
    check_settings(RuntimeSettings, *([TokenSettings] if arguments.command == "token" else []))
    try:
        print(asyncio.run(_run(arguments, RuntimeSettings().database_url.get_secret_value())))
    except OperatorRefused as refused:
        print(refused, file=sys.stderr)
        return 1
    except ProgrammingError as error:
        # A role without the right to write is the likely one, and its message has no values.
        print(f"Postgres refused: {str(error.orig).splitlines()[0]}. Use the tables' owner.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
