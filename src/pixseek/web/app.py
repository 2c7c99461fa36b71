"""The application: routes, errors and middleware put together."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from pixseek import __version__
from pixseek.errors import PixseekError
from pixseek.web import counts, groups, naming, page, problems, routes, runs
from pixseek.web.addresses import PREFIX
from pixseek.web.answers import Problem
from pixseek.web.guard import Guard
from pixseek.web.metrics import Measured
from pixseek.web.service import Service

ABOUT = "Find pictures by what they show. Errors are application/problem+json (RFC 9457)."


def create_app(service: Service) -> FastAPI:
    """The application that serves a library."""
    app = FastAPI(
        title="pixseek",
        version=__version__,
        description=ABOUT,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # their pages load scripts from other hosts
        redoc_url=None,
        exception_handlers={
            PixseekError: problems.of_pixseek,
            RequestValidationError: problems.of_validation,
            HTTPException: problems.of_http,
        },
    )
    app.state.service = service
    for router in (
        routes.router,
        counts.router,
        groups.router,
        naming.router,
        runs.router,
        page.router,
    ):
        app.include_router(router)
    app.mount("/static", page.Files(directory=page.STATIC), name="static")
    app.add_middleware(
        Guard,
        token=service.token,
        names=service.names,
        per_s=service.options.requests_per_s,
        cookie=service.cookie,
    )
    app.add_middleware(Measured, metrics=service.metrics)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # as FastAPI's manual does
    return app


def _openapi(app: FastAPI) -> dict[str, object]:
    """FastAPI's, with our one form of errors in it."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=ABOUT, routes=app.routes
        )
        forms = schema["components"]["schemas"]
        forms["Problem"] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            forms.pop(unused, None)
        app.openapi_schema = schema
    return app.openapi_schema
