"""What getimg sells: the models of version 2 and the operations of version 1. The data is in models.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sandbox.json_text import Json

HERE: Final = Path(__file__).parent
Size = tuple[int, int]
Does = Literal["paint", "vary", "enlarge", "restore"]


@dataclass(frozen=True, slots=True)
class Model:
    """A model of version 2. Pixels by resolution and aspect ratio, the defaults first."""

    id: str
    name: str
    usd: float
    references: int
    sizes: Mapping[str, Mapping[str, Size]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A path of version 1. `sides`: least, most and step of a width or height in pixels; `ratios`: pixels by aspect ratio."""

    path: str
    model: str
    does: Does
    schema: Json
    usd: float
    usd_per_megapixel_step: float
    default_steps: int
    sides: tuple[int, int, int]
    ratios: Mapping[str, Size]

    def cost_usd(self, size: Size, steps: int) -> float:
        """What a picture of this many pixels, made in so many steps, costs."""
        return round(self.usd + self.usd_per_megapixel_step * size[0] * size[1] * steps / 1e6, 6)


@dataclass(frozen=True, slots=True)
class Range:
    """Everything on sale: models by id, operations by path."""

    models: Mapping[str, Model]
    operations: Mapping[str, Operation]


def load_range(path: Path = HERE / "models.toml") -> Range:
    """Read the table."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return Range(
        models={row["id"]: _model(row) for row in table["models"]},
        operations={row["path"]: _operation(row, table["inputs"]) for row in table["operations"]},
    )


def _model(row: Mapping[str, Any]) -> Model:
    sizes = {resolution: _sizes(ratios) for resolution, ratios in row["sizes"].items()}
    return Model(row["id"], row["name"], row["usd"], row["references"], sizes)


def _operation(row: Mapping[str, Any], inputs: Mapping[str, Json]) -> Operation:
    properties = {name: dict(inputs[name]) for name in row["inputs"]}
    if "most_steps" in row:
        properties["steps"]["maximum"] = row["most_steps"]
    least, most, step = row.get("sides", (1, 4096, 1))
    return Operation(
        path=row["path"],
        model=row["model"],
        does=row["does"],
        schema={"type": "object", "required": row["required"], "properties": properties},
        usd=row.get("usd", 0.0),
        usd_per_megapixel_step=row.get("usd_per_megapixel_step", 0.0),
        default_steps=row.get("default_steps", 1),
        sides=(least, most, step),
        ratios=_sizes(row.get("ratios", {})),
    )


def _sizes(table: Mapping[str, list[int]]) -> dict[str, Size]:
    return {name: (width, height) for name, (width, height) in table.items()}
