"""Providers and models: what they can do, what they cost, and how they stand."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.dependencies import ReadDep, ServicesDep
from api.model_answers import ModelAnswer
from api.problems import documented
from api.provider_answers import ProviderAnswer
from contracts.frozen import Frozen

router = APIRouter(prefix="/v1", tags=["providers"])

Name = Annotated[str, Path(max_length=50, examples=["replicate"])]
# A model's id may have a slash in it.
ModelId = Annotated[str, Path(max_length=100, examples=["openai/gpt-image-2.5-flare"])]


class ProviderList(Frozen):
    """All providers."""

    items: tuple[ProviderAnswer, ...]


class ModelList(Frozen):
    """All models, in order of preference."""

    items: tuple[ModelAnswer, ...]


@router.get("/providers", summary="List the providers, and how they stand", responses=documented(401, 503))
async def providers(services: ServicesDep, _caller: ReadDep) -> ProviderList:
    """All providers of the catalog, with or without a key here. How they stand is at most a second old."""
    return ProviderList(items=await services.providers.providers())


@router.get("/providers/{name}", summary="Look at a provider", responses=documented(401, 404, 422, 503))
async def provider(services: ServicesDep, _caller: ReadDep, name: Name) -> ProviderAnswer:
    """One provider, with how it stands."""
    return await services.providers.provider(name)


@router.get("/models", summary="List the models, their prices, and how they stand", responses=documented(401, 503))
async def models(services: ServicesDep, _caller: ReadDep) -> ModelList:
    """All models of the catalog, in order of preference. How they stand is at most a second old."""
    return ModelList(items=await services.providers.models())


@router.get("/models/{provider}/{model:path}", summary="Look at a model", responses=documented(401, 404, 422, 503))
async def model(services: ServicesDep, _caller: ReadDep, provider: Name, model: ModelId) -> ModelAnswer:
    """One model, with how it stands and how long a new request would take."""
    return await services.providers.model(provider, model)
