"""The table of models: which exist, what sizes they paint and what they bill. The data is in models.toml."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

from sandbox.json_text import Json, decode

HERE: Final = Path(__file__).parent
Sizing = Literal["gpt", "gpt-free", "flux", "input", "resolution", "enlarge"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one job of a token-billed model used."""

    text_in: int
    image_in: int
    output: int


@dataclass(frozen=True, slots=True)
class Tariff:
    """Token rates in USD per million tokens, and the output price in USD of one picture by (width, height) and quality."""

    text_in: float
    image_in: float
    image_out: float
    tokens_per_input_image: int
    auto_quality: str
    per_image: Mapping[tuple[int, int], Mapping[str, float]]

    @property
    def qualities(self) -> frozenset[str]:
        """The qualities that can be asked for, "auto" aside."""
        return frozenset(next(iter(self.per_image.values())))

    def tokens(self, prompt: str, *, width: int, height: int, quality: str, pictures: int, references: int) -> Tokens:
        """The tokens of a job. Sizes that have no price of their own take the one with the nearest area and shape."""
        size = min(self.per_image, key=lambda known: _distance(known, (width, height)))
        prices = self.per_image[size]
        price = prices[self.auto_quality if quality == "auto" else quality]
        return Tokens(
            text_in=max(1, math.ceil(len(prompt) / 4)),
            image_in=references * self.tokens_per_input_image,
            output=pictures * round(price * 1e6 / self.image_out),
        )

    def usd(self, tokens: Tokens) -> float:
        """What those tokens cost."""
        millionths = tokens.text_in * self.text_in + tokens.image_in * self.image_in + tokens.output * self.image_out
        return round(millionths / 1e6, 6)


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """A model id of OpenAI. Models without a tariff make no pictures."""

    id: str
    created: date
    shutdown: date | None
    tariff: Tariff | None
    free_size: bool


@dataclass(frozen=True, slots=True)
class ReplicateModel:
    """A model of Replicate. `version` is None for official models, whose version is hidden."""

    owner: str
    name: str
    version: str | None
    description: str
    schema: Json
    sizing: Sizing
    tariff: Tariff | None
    usd_per_picture: float
    usd_per_second: float
    leading_pictures: int
    single_output: bool
    most_input_pixels: int | None

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True)
class ModelTable:
    """All models. `replicate_versions` finds a model by its 64-hex version; `deployments` by the deployment's name."""

    openai: Mapping[str, OpenAIModel]
    replicate: Mapping[str, ReplicateModel]
    replicate_versions: Mapping[str, ReplicateModel]
    deployments: Mapping[str, ReplicateModel]


def load_models(path: Path = HERE / "models.toml") -> ModelTable:
    """Read the table."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    tariffs = {name: _tariff(row) for name, row in table["tariffs"].items()}
    openai = [_openai_model(row, tariffs) for row in table["openai"]]
    replicate = {row["name"]: _replicate_model(row, tariffs) for row in table["replicate"]}
    return ModelTable(
        openai={model.id: model for model in openai},
        replicate=replicate,
        replicate_versions={model.version: model for model in replicate.values() if model.version},
        deployments={name: replicate[model] for name, model in table["deployments"].items()},
    )


def _distance(known: tuple[int, int], wanted: tuple[int, int]) -> float:
    """How far two sizes are apart, in doublings of area and of aspect ratio; turning a picture changes nothing."""
    area = abs(math.log2(known[0] * known[1] / (wanted[0] * wanted[1])))
    ratio = abs(math.log2(max(known) / min(known)) - math.log2(max(wanted) / min(wanted)))
    return area + ratio


def _tariff(row: Mapping[str, Any]) -> Tariff:
    sizes = {tuple(int(side) for side in size.split("x")): dict(prices) for size, prices in row["per_image"].items()}
    return Tariff(
        text_in=row["text_in"],
        image_in=row["image_in"],
        image_out=row["image_out"],
        tokens_per_input_image=row["tokens_per_input_image"],
        auto_quality=row["auto_quality"],
        per_image={(size[0], size[1]): prices for size, prices in sizes.items()},
    )


def _openai_model(row: Mapping[str, Any], tariffs: Mapping[str, Tariff]) -> OpenAIModel:
    return OpenAIModel(
        id=row["id"],
        created=date.fromisoformat(row["created"]),
        shutdown=date.fromisoformat(row["shutdown"]) if "shutdown" in row else None,
        tariff=tariffs[row["tariff"]] if "tariff" in row else None,
        free_size=row.get("sizing") == "free",
    )


def _replicate_model(row: Mapping[str, Any], tariffs: Mapping[str, Tariff]) -> ReplicateModel:
    owner, _, name = row["name"].partition("/")
    return ReplicateModel(
        owner=owner,
        name=name,
        version=row.get("version"),
        description=row["description"],
        schema=decode((HERE / "replicate" / "schemas" / row["schema"]).read_bytes()),
        sizing=row["sizing"],
        tariff=tariffs[row["tariff"]] if "tariff" in row else None,
        usd_per_picture=row.get("usd_per_picture", 0.0),
        usd_per_second=row.get("usd_per_second", 0.0),
        leading_pictures=row.get("leading_pictures", 0),
        single_output=row.get("single_output", False),
        most_input_pixels=row.get("most_input_pixels"),
    )
