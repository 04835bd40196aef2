"""The words that a column may hold, as its `CHECK (… IN (…))` lists them."""

from collections.abc import Sequence

from alembic import op

_CHANGE = r"""
    DO $$
    DECLARE
        words text;
    BEGIN
        SELECT string_agg(DISTINCT quote_literal(word), ', ') INTO words FROM (
            SELECT (regexp_matches(pg_get_constraintdef(oid), '''(\w+)''', 'g'))[1] AS word FROM pg_constraint
            WHERE conname = '{column}_is_known' AND conrelid = '{table}'::regclass
            UNION SELECT unnest({added})
        ) AS known WHERE word <> ALL ({removed});
        ALTER TABLE {table} DROP CONSTRAINT {column}_is_known;
        EXECUTE 'ALTER TABLE {table} ADD CONSTRAINT {column}_is_known CHECK ({column} IN (' || words || '))';
    END
    $$
"""


def change_known_words(table: str, column: str, *, added: Sequence[str] = (), removed: Sequence[str] = ()) -> None:
    """In the database itself, from the words that it knows: several migrations add to the same list."""
    op.execute(_CHANGE.format(table=table, column=column, added=_array(added), removed=_array(removed)))


def _array(words: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(repr(word) for word in words)}]::text[]"
