"""OpenAPI as the server tells it: whole, and kept by its answers, whatever it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.web_server import Served, serve

from pixseek import ImageSearchEngine
from pixseek.web.app import create_app
from pixseek.web.service import Service

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schema")
    (folder / "photos").mkdir()
    for i, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (20 + i, 20), colour).save(folder / "photos" / f"{colour}.png")
    with ImageSearchEngine(folder / "library", model="palette") as engine:
        engine.index_images(folder / "photos")
    return folder / "library"


@pytest.fixture(scope="module")
def web(library: Path) -> Iterator[Served]:
    with serve(library, allow_write=True, requests_per_s=100_000) as served:
        yield served


def _paths(library: Path) -> dict[str, Any]:
    with ImageSearchEngine(library, create=False) as engine:
        app = create_app(Service(engine, engine._settings, allow_write=False))
        schema: dict[str, Any] = app.openapi()
    return schema


def test_every_address_is_described_with_its_answer_and_its_problems(library: Path) -> None:
    schema = _paths(library)
    assert schema["openapi"].startswith("3.1")
    assert schema["info"]["version"]
    assert len(schema["paths"]) >= 16
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["description"], where
            answers = operation["responses"]
            good = [status for status in answers if status.startswith("2")]
            assert all(answers[status]["content"] for status in good), where
            for status in ("400", "401", "403", "404", "413", "422", "429", "503"):
                (kind,) = answers[status]["content"]
                assert kind == "application/problem+json", where
            for parameter in operation.get("parameters", ()):
                named = parameter["name"] == "id" or parameter.get("description")
                assert named or parameter["schema"].get("description"), (where, parameter)
    for name, form in schema["components"]["schemas"].items():
        assert form.get("description"), name


OPERATIONS = [
    *("GET /api/v1/search", "POST /api/v1/search", "GET /api/v1/items/{id}"),
    *("GET /api/v1/items/{id}/thumbnail", "GET /api/v1/items/{id}/original"),
    *("GET /api/v1/items/{id}/similar", "GET /api/v1/facets", "GET /api/v1/timeline"),
    *("GET /api/v1/map", "GET /api/v1/complete", "GET /api/v1/status", "GET /api/v1/jobs"),
    *("GET /api/v1/duplicates", "GET /api/v1/clusters"),
    *("GET /api/v1/saved", "PUT /api/v1/saved/{name}", "DELETE /api/v1/saved/{name}"),
    *("POST /api/v1/jobs", "GET /api/v1/jobs/{id}", "GET /api/v1/jobs/{id}/events"),
    *("GET /api/v1/labels", "PUT /api/v1/items/{id}/tags"),
    *("GET /healthz", "GET /readyz", "GET /metrics"),
]


def test_all_of_them_are_tried(library: Path) -> None:
    described = {
        f"{method.upper()} {path}"
        for path, methods in _paths(library)["paths"].items()
        for method in methods
    }
    assert described == set(OPERATIONS)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jsonschema, in schemathesis
def test_no_request_makes_the_server_fail_or_answer_otherwise_than_it_says(
    web: Served, label: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(web.get("/api/v1/openapi.json").json())
    operation = schema.find_operation_by_label(label)
    assert operation is not None
    if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body):
        return  # nothing in it can be wrong

    @settings(
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=12,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def hold(case: schemathesis.Case[Any]) -> None:
        answer = case.call(base_url=str(web.base_url))
        case.validate_response(answer, checks=CHECKS)

    hold()
