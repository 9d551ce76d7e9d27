"""Themes: the places a scene can be set in."""

from fastapi import APIRouter

from api.dependencies import ReadDep, ServicesDep
from api.problems import documented
from contracts.frozen import Frozen

router = APIRouter(prefix="/v1/themes", tags=["themes"])


class ThemeAnswer(Frozen):
    """A theme; `name` is what a request says."""

    name: str
    title: str
    description: str


class ThemeList(Frozen):
    """All themes."""

    items: tuple[ThemeAnswer, ...]


@router.get("", summary="List the themes that scenes take place in", responses=documented(401, 503))
async def listed(services: ServicesDep, _caller: ReadDep) -> ThemeList:
    """All themes."""
    found = services.themes.list()
    return ThemeList(
        items=tuple(ThemeAnswer(name=one.name, title=one.title, description=one.description) for one in found)
    )
