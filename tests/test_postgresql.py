"""Vectors in PostgreSQL: the contract on a real server, and what only a server can do to us."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

pytest.register_assert_rewrite("tests.store_contract")

from tests.postgres import Postgres  # noqa: E402
from tests.store_contract import OpenStore, StoreContract  # noqa: E402

from pixseek.records import Space  # noqa: E402  # after the line above
from pixseek.stores.address import Metric  # noqa: E402
from pixseek.stores.postgresql import PostgresStore  # noqa: E402

_numbers = count()


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    """A collection that is not there yet."""
    name = f"test-{next(_numbers)}"
    yield postgres.url(name)
    postgres.execute(f'DROP TABLE IF EXISTS "{name}"')


class TestPostgres(StoreContract):
    metric: Metric = "cosine"

    @pytest.fixture
    def open_store(self, url: str) -> Iterator[OpenStore]:
        opened: list[PostgresStore] = []

        def opener(space: Space | None) -> PostgresStore:
            opened.append(PostgresStore.open(f"{url}&metric={self.metric}", space))
            return opened[-1]

        yield opener
        for store in opened:
            store.close()
