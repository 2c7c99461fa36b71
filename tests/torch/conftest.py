"""What these tests share with the others is checked as tests are."""

import pytest

pytest.register_assert_rewrite("tests.encoder_contract", "tests.hub_server")
