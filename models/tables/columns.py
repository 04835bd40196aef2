"""Column types shared by several tables, and tables without their objects."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Enum, Table
from sqlmodel import SQLModel


def enum_column(kind: type[StrEnum], nullable: bool = False, server_default: str | None = None) -> Column[Any]:
    """An enum stored as text with a CHECK: a new value alters a constraint, not a type."""
    return Column(
        Enum(
            kind,
            native_enum=False,
            length=24,
            values_callable=lambda members: [member.value for member in members],
        ),
        nullable=nullable,
        server_default=server_default,
    )


def table_of(model: type[SQLModel]) -> Table:
    """For rows that are written without objects: the ORM takes half of such a statement's time."""
    return SQLModel.metadata.tables[str(model.__tablename__)]
