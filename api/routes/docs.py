"""The pages that show the OpenAPI document; their scripts come from a package, so that they work without the internet."""

import base64
import hashlib
import re
from typing import Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

FILES = "/docs-files"
# Both pages write styles into their elements; Redoc searches in a worker that it makes from its own script, and Swagger
# shows a picture that was tried out as a blob.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

router = APIRouter(include_in_schema=False)


@router.get("/")
async def root() -> RedirectResponse:
    """Whoever opens the bare address in a browser wants to know what is here."""
    return RedirectResponse("/docs")


@router.get("/docs")
async def swagger(request: Request) -> HTMLResponse:
    """Try the API in a browser."""
    page = get_swagger_ui_html(
        openapi_url=str(request.app.openapi_url),
        title="Diorama API",
        swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{FILES}/swagger-ui.css",
        swagger_favicon_url=f"{FILES}/favicon.png",
        swagger_ui_parameters={"persistAuthorization": True, "displayRequestDuration": True},
    )
    return _guarded(page)


@router.get("/redoc")
async def redoc(request: Request) -> HTMLResponse:
    """Read the API's reference."""
    page = get_redoc_html(
        openapi_url=str(request.app.openapi_url),
        title="Diorama API",
        redoc_js_url=f"{FILES}/redoc.standalone.js",
        redoc_favicon_url=f"{FILES}/favicon.png",
        with_google_fonts=False,
    )
    return _guarded(page)


def _guarded(page: HTMLResponse) -> HTMLResponse:
    """With a policy that allows the scripts of this page, and no others; what stands in the page is known by its hash."""
    scripts = _INLINE.findall(bytes(page.body))
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts]
    page.headers["Content-Security-Policy"] = _POLICY.format(hashes="".join(f" 'sha256-{one}'" for one in hashes))
    return page


def serve_files(app: FastAPI) -> None:
    """Serve the pages' scripts and styles; of `fastapi-offline` only these files are used."""
    app.mount(FILES, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs-files")
