"""The pages that show the OpenAPI document; their scripts come from a package, so that they work without the internet."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

FILES = "/docs-files"

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def swagger(request: Request) -> HTMLResponse:
    """Try the API in a browser."""
    return get_swagger_ui_html(
        openapi_url=str(request.app.openapi_url),
        title="Diorama API",
        swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{FILES}/swagger-ui.css",
        swagger_favicon_url=f"{FILES}/favicon.png",
        swagger_ui_parameters={"persistAuthorization": True, "displayRequestDuration": True},
    )


@router.get("/redoc")
async def redoc(request: Request) -> HTMLResponse:
    """Read the API's reference."""
    return get_redoc_html(
        openapi_url=str(request.app.openapi_url),
        title="Diorama API",
        redoc_js_url=f"{FILES}/redoc.standalone.js",
        redoc_favicon_url=f"{FILES}/favicon.png",
        with_google_fonts=False,
    )


def serve_files(app: FastAPI) -> None:
    """Serve the pages' scripts and styles; of `fastapi-offline` only these files are used."""
    app.mount(FILES, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs-files")
