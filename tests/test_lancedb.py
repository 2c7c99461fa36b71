"""Vectors in LanceDB: the contract on real tables, and what only files can do to us."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.store_contract")

from tests.store_contract import OpenStore, StoreContract  # noqa: E402

from pixseek.stores.address import Metric  # noqa: E402  # after the line above
from pixseek.stores.lancedb import LanceStore  # noqa: E402


class TestLance(StoreContract):
    metric: Metric = "cosine"
    orders_ties = False

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda space: LanceStore.open(
            f"lancedb:{tmp_path}/lance?metric={self.metric}", space
        )
