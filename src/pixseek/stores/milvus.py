"""`milvus`: a Milvus server, Zilliz Cloud, or Milvus Lite in a file.

A collection has a row for each item: `pk` (the id, or its hash), `vector`, the exact metadata and
the id in pieces of JSON, and tokens for filters. Numbers, and fields for other programs to read,
are dynamic fields of the row.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import ClassVar, TypeVar

import numpy as np

from pixseek.errors import InvalidMetadata
from pixseek.records import Hit, Item, Metadata, Space, Vector
from pixseek.stores import check_items, check_metadata, check_query, check_stamp, nearest_first
from pixseek.stores.address import Address
from pixseek.stores.filters import Filter
from pixseek.stores.milvus_collection import FACTS, PIECE, PIECES, TOKENS, WORDS, Collection, Row
from pixseek.stores.payload import field_key, key, metadata_of, payload, plain, word_tokens
from pixseek.stores.questions import TOO_OLD, Joined, Kind, Question, Range, check_kinds, questions

BATCH = 1000
"""Rows written or read in one call: 2 MB of vectors of 512 dimensions, where gRPC allows 64."""
DEEPEST = 16_384
"""How many of the nearest Milvus finds at most; beyond, every row is read and scored here."""
EF = 512
"""How many candidates an HNSW index looks at, at least; four times what is asked for if more. Too
lean a search loses texts first, which lie apart from pictures."""
HASH_BYTES = 12

_KEYS = ["pk", "pixseek_id"]
_HIT = [*_KEYS, "pixseek_exact", "vector"]
_EVERY, _NONE = 'pk != ""', 'pk == ""'
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_T = TypeVar("_T")


class MilvusStore:
    """Safe to use from threads."""

    REFUSES: ClassVar[dict[Kind, str]] = {
        "prefix": "Milvus cannot ask how a text in a list begins",
        "contains": "Milvus cannot look inside a text in a list",
        "icontains": "Milvus cannot look inside a text in a list",
        "order": "Milvus cannot order the texts in a list",
        "long words": "words of short texts only are written",
    }

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._client, self._ask = collection.client, collection.ask
        self._writing = threading.Lock()
        self._closed = False
        self._refuses = self.REFUSES | ({} if collection.has_words else {"words": TOO_OLD})

    @classmethod
    def open(cls, location: str, space: Space | None) -> MilvusStore:
        """Open `milvus:FILE.db`, `milvus://HOST:PORT/DATABASE`, or `milvus+https://` alike.

        Options: collection, metric, token (else MILVUS_TOKEN), and index, by which a new
        collection is searched. Raises StoreUnavailable when the engine is not to be had.
        """
        address = Address.parse(location)
        store = cls(Collection(address, space))
        try:
            made = store._collection
            check_stamp((made.space, made.metric), (space, address.metric))
        except BaseException:
            store.close()
            raise
        return store

    @property
    def space(self) -> Space:
        return self._collection.space

    # Writing

    def add(self, items: Sequence[Item]) -> None:
        check_items(items, self.space.dimensions)
        last = {item.id: item for item in items}  # a call must not have a key twice
        self._write([self._row(item) for item in last.values()])

    def update_metadata(self, changes: Mapping[str, Metadata]) -> None:
        """Writes rows whole: Milvus's partial update keeps fields that are no longer given."""
        check_metadata(changes)
        found = self.fetch(changes)
        self._write([self._row(Item(one.id, one.vector, changes[one.id])) for one in found])

    def delete(self, ids: Iterable[str]) -> int:
        deleted = 0
        with self._writing:
            for batch in _batches(set(ids), BATCH):
                if there := [row["pk"] for row in self._rows(batch, ["pk"])]:
                    self._ask(self._client.delete, ids=there)
                    self._settle()
                deleted += len(there)
        return deleted

    def _write(self, rows: list[Row]) -> None:
        with self._writing:
            for batch in _batches(rows, BATCH):
                gone = {row["pk"]: dict.fromkeys(_fields(row)) for row in self._before(batch)}
                whole = [{**gone.get(row["pk"], {}), **row} for row in batch]
                self._ask(self._client.upsert, data=whole)
            if rows:
                self._settle()

    def _before(self, rows: Iterable[Row]) -> list[Row]:
        """The rows that are there with these keys. Milvus Lite keeps fields that are no longer
        given, as a partial update would; so what they had is said to be nothing now."""
        return self._rows((row["pk"] for row in rows), [*_KEYS, "pixseek_exact"])

    def _settle(self) -> None:
        """Let Milvus Lite put on disk what it has in memory; a server's log is durable as it is.

        Milvus Lite searches what it has only in memory slowly, too: 40 ms for 1000 rows.
        """
        if self._collection.is_lite:
            self._ask(self._client.flush)

    def _row(self, item: Item) -> Row:
        written = payload(item.metadata)
        own = key(item.id)
        row = {
            **_dynamic(item.id, item.metadata),
            "pk": own,
            "vector": item.vector,
            "pixseek_id": [] if own == item.id else _pieces(item.id, json.dumps(item.id)),
            "pixseek_exact": _pieces(item.id, written.exact),
            "pixseek_tokens": self._tokens(item.id, "values", written.tokens),
        }
        if self._collection.has_words:
            columns: dict[str, list[str]] = {name: [] for name in WORDS}
            for token in word_tokens(item.metadata):
                columns[_column(token)].append(token)
            row |= {name: self._tokens(item.id, "words", some) for name, some in columns.items()}
        return row

    def _tokens(self, id: str, what: str, tokens: list[str]) -> list[str] | str:
        if self._collection.arrays:
            _check_amount(id, what, len(tokens), TOKENS)
            return tokens
        _check_amount(id, what, len(tokens), FACTS // (2 * HASH_BYTES + 1) - 1)
        return f" {' '.join(map(_hash, tokens))} "

    # Reading

    def fetch(self, ids: Iterable[str]) -> list[Item]:
        found: list[Item] = []
        for batch in _batches(ids, BATCH):
            rows = {row["pk"]: row for row in self._rows(batch, _HIT)}
            found += [_item(rows[key(id)]) for id in batch if key(id) in rows]
        return found

    def check_filter(self, where: Filter) -> None:
        check_kinds(where, self._collection.shown, self._refuses)

    def ids(self, where: Filter | None = None) -> Iterator[str]:
        return map(_id, self._all(where, _KEYS))

    def count(self, where: Filter | None = None) -> int:
        rows = self._ask(
            self._client.query,
            gone=[{"count(*)": 0}],
            filter=self._expression(where),
            output_fields=["count(*)"],
        )
        return int(rows[0]["count(*)"])

    def search(
        self,
        vector: Vector,
        k: int,
        *,
        where: Filter | None = None,
        min_score: float | None = None,
        offset: int = 0,
    ) -> list[Hit]:
        check_query(vector, self.space.dimensions)
        rows = self._nearest(vector, offset + k, where) if k > 0 else []
        if not rows:
            return []
        return nearest_first(
            rows,
            np.array([row["vector"] for row in rows], np.float32),
            vector,
            id=_id,
            metadata=_metadata,
            min_score=min_score,
            offset=offset,
            k=k,
        )

    def _nearest(self, vector: Vector, k: int, where: Filter | None) -> list[Row]:
        """At least the k nearest rows, in no order."""
        if k > DEEPEST:
            return list(self._all(where, _HIT))
        parameters = {"ef": max(EF, 4 * k)} if self._collection.index == "hnsw" else {}
        answers: list[list[Row]] = self._ask(
            self._client.search,
            gone=[[]],
            data=[vector],
            filter="" if where is None else self._expression(where),
            limit=k,
            output_fields=_HIT,
            search_params={"params": parameters},
            anns_field="vector",
        )
        return [{**hit["entity"], "pk": hit["pk"]} for hit in answers[0]]

    def _rows(self, ids: Iterable[str], fields: list[str]) -> list[Row]:
        keys = list(dict.fromkeys(map(key, ids)))
        rows: list[Row] = self._ask(self._client.get, gone=[], ids=keys, output_fields=fields)
        return rows

    def _all(self, where: Filter | None, fields: list[str]) -> Iterator[Row]:
        """Every row that passes."""
        pages = self._ask(
            self._client.query_iterator,
            gone=(),
            batch_size=BATCH,
            filter=self._expression(where),
            output_fields=fields,
        )
        while pages and (rows := self._ask(lambda **_: pages.next(), gone=[])):
            yield from rows

    def _expression(self, where: Filter | None) -> str:
        return _EVERY if where is None else self._said(questions(where))

    def _said(self, question: Question) -> str:
        """A question in Milvus's language."""
        if isinstance(question, Joined):
            word = " and " if question.every else " or "
            return f"({word.join(self._said(part) for part in question.parts)})"
        if isinstance(question, Range):
            name = f"$meta[{json.dumps('#' + field_key(question.field))}]"
            return f"{name} {_SIGNS[question.operator]} {question.value!r}"
        if not question.tokens:
            return _EVERY if question.negated else _NONE
        where = _column(question.tokens[0]) if question.are_words else "pixseek_tokens"
        if self._collection.arrays:
            texts = json.dumps(question.tokens, ensure_ascii=False)
            said = f"array_contains_any({where}, {texts})"
        else:
            parts = (f'{where} like "% {_hash(one)} %"' for one in question.tokens)
            said = f"({' or '.join(parts)})"
        return f"not {said}" if question.negated else said

    # Looking after

    def preload(self) -> None:
        pass

    def drop(self) -> None:
        with self._writing:
            self._collection.drop()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._collection.close()


def _dynamic(id: str, metadata: Metadata) -> dict[str, object]:
    """The fields that only some rows have: numbers, and what other programs read."""
    numbers = payload(metadata).numbers
    named = {f"#{field_key(field)}": number for field, number in numbers.items()}
    return {**plain(id, metadata), **named}


def _fields(row: Row) -> list[str]:
    return list(_dynamic(_id(row), _metadata(row)))


def _item(row: Row) -> Item:
    return Item(_id(row), np.asarray(row["vector"], np.float32), _metadata(row))


def _id(row: Row) -> str:
    """The key, unless that is a hash; then the id stands beside it."""
    pieces: list[str] = row["pixseek_id"]
    return str(json.loads("".join(pieces)) if pieces else row["pk"])


def _metadata(row: Row) -> Metadata:
    return metadata_of("".join(row["pixseek_exact"]))


def _pieces(id: str, text: str) -> list[str]:
    _check_amount(id, "characters", len(text), PIECE * PIECES)
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def _check_amount(id: str, what: str, amount: int, most: int) -> None:
    if amount > most:
        value = f"{amount} {what}, where Milvus takes {most}"
        raise InvalidMetadata(id, "all together", value)


def _hash(token: str) -> str:
    return blake2b(token.encode(), digest_size=HASH_BYTES).hexdigest()


def _column(token: str) -> str:
    """Where a word's token is kept."""
    return WORDS[int(_hash(token)[:8], 16) % len(WORDS)]


def _batches(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    remaining = iter(values)
    while batch := list(islice(remaining, size)):
        yield batch
