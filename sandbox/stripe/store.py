"""The sandbox's state: JSON records with transactions and a journal file.

Reads return copies, and only `put` and `remove` change the store. So a failed operation is rolled back completely, and
every transaction is one line in the journal.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from sandbox.stripe.json_values import JsonObject, copied

_Key = tuple[str, str]


@dataclass
class Record:
    """One object of one account. `hidden` is internal data that the API never returns."""

    kind: str
    id: str
    owner: str
    body: JsonObject
    hidden: JsonObject = field(default_factory=dict)
    sequence: int = 0

    def copy(self) -> "Record":
        return replace(self, body=copied(self.body), hidden=copied(self.hidden))


class Store:
    """Records by kind and id, in the order of their creation."""

    def __init__(self, journal: Path | None = None) -> None:
        self._tables: dict[str, dict[str, Record]] = {}
        self._kind_of: dict[str, str] = {}
        self._sequence = 0
        self._undo: dict[_Key, Record | None] | None = None
        self._journal_path = journal
        if journal is not None:
            self._load(journal)

    def find(self, kind: str, id: str) -> Record | None:
        record = self._tables.get(kind, {}).get(id)
        return record.copy() if record else None

    def get(self, kind: str, id: str) -> Record:
        """The record of an id that the sandbox itself stored. Raises KeyError if there is none."""
        return self._tables[kind][id].copy()

    def find_any(self, id: str) -> Record | None:
        """The object with this id, of any kind: Stripe's ids are unique across kinds."""
        kind = self._kind_of.get(id)
        return self.find(kind, id) if kind else None

    def newest_first(self, kind: str, keep: Callable[[Record], bool] = lambda _: True) -> list[Record]:
        """All records of a kind that `keep` accepts. `keep` gets the stored record and must not change it."""
        return [record.copy() for record in reversed(self._tables.get(kind, {}).values()) if keep(record)]

    def scan(self, kind: str) -> Iterator[Record]:
        """All records of a kind, oldest first. They are not copies: only read them."""
        yield from self._tables.get(kind, {}).values()

    def kinds(self) -> list[str]:
        return sorted(self._tables)

    def put(self, kind: str, id: str, *, owner: str, body: JsonObject, hidden: JsonObject | None = None) -> Record:
        """Add or replace a record, which is copied. Without `hidden`, the old `hidden` stays."""
        table = self._tables.setdefault(kind, {})
        before = table.get(id)
        self._save_for_rollback(kind, id, before)
        if before is None:
            self._sequence += 1
        new_hidden = hidden if hidden is not None else (before.hidden if before else {})
        sequence = before.sequence if before else self._sequence
        record = Record(kind, id, owner, copied(body), copied(new_hidden), sequence)
        table[id] = record
        self._kind_of[id] = kind
        return record.copy()

    def save(self, record: Record) -> Record:
        """Store a record that was read and changed."""
        return self.put(record.kind, record.id, owner=record.owner, body=record.body, hidden=record.hidden)

    def remove(self, kind: str, id: str) -> None:
        self._save_for_rollback(kind, id, self._tables[kind].pop(id))
        self._kind_of.pop(id, None)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all changes inside, or none. A nested transaction joins the outer one."""
        if self._undo is not None:
            yield
            return
        self._undo = {}
        try:
            yield
        except BaseException:
            self._roll_back(self._undo)
            raise
        else:
            self._write_journal(list(self._undo))
        finally:
            self._undo = None

    def _save_for_rollback(self, kind: str, id: str, before: Record | None) -> None:
        if self._undo is None:
            raise RuntimeError(f"{kind} {id} was changed outside a transaction")
        self._undo.setdefault((kind, id), before)

    def _roll_back(self, undo: dict[_Key, Record | None]) -> None:
        for (kind, id), before in undo.items():
            if before is not None:
                removed = id not in self._tables[kind]
                self._tables[kind][id] = before
                self._kind_of[id] = kind
                if removed:
                    self._tables[kind] = _in_order(self._tables[kind])
            else:
                self._tables[kind].pop(id, None)
                self._kind_of.pop(id, None)

    def _write_journal(self, keys: list[_Key]) -> None:
        if self._journal_path is None or not keys:
            return
        lines = [_journal_entry(kind, id, self._tables[kind].get(id)) for kind, id in keys]
        with self._journal_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(lines, separators=(",", ":")) + "\n")

    def _load(self, path: Path) -> None:
        """Read the journal, then rewrite it with the last state of each record.

        A last line without a newline is a write that a kill interrupted. Its request got no response, so it is dropped.
        """
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        complete, _, _ = text.rpartition("\n")
        for line in complete.splitlines():
            for kind, id, rest in json.loads(line):
                self._replay(kind, id, rest)
        for kind, table in self._tables.items():
            self._tables[kind] = _in_order(table)
        compacted = path.with_name(path.name + ".compacted")
        entries = [
            _journal_entry(kind, id, record) for kind, table in self._tables.items() for id, record in table.items()
        ]
        compacted.parent.mkdir(parents=True, exist_ok=True)
        compacted.write_text(json.dumps(entries, separators=(",", ":")) + "\n", encoding="utf-8")
        os.replace(compacted, path)

    def _replay(self, kind: str, id: str, rest: JsonObject | None) -> None:
        if rest is None:
            self._tables.get(kind, {}).pop(id, None)
            self._kind_of.pop(id, None)
            return
        record = Record(kind, id, rest["owner"], rest["body"], rest["hidden"], rest["sequence"])
        self._tables.setdefault(kind, {})[id] = record
        self._kind_of[id] = kind
        self._sequence = max(self._sequence, record.sequence)


def _in_order(table: dict[str, Record]) -> dict[str, Record]:
    return dict(sorted(table.items(), key=lambda item: item[1].sequence))


def _journal_entry(kind: str, id: str, record: Record | None) -> list[object]:
    if record is None:
        return [kind, id, None]
    rest = {"owner": record.owner, "body": record.body, "hidden": record.hidden, "sequence": record.sequence}
    return [kind, id, rest]
