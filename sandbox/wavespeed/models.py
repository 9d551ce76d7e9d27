"""The models at WaveSpeed: what each takes, what sizes it paints, what it bills. The data is in models.toml."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox.json_text import Json
from sandbox.wavespeed.tasks import OutputFormat

HERE: Final = Path(__file__).parent
# Every model takes these.
COMMON_INPUTS: Final = ("enable_base64_output", "enable_sync_mode", "enable_safety_checker")
_SIZE: Final = re.compile(r"(\d{1,5})\*(\d{1,5})")


@dataclass(frozen=True, slots=True)
class WaveSpeedModel:
    """A model. `scale` is the input by which it enlarges a picture; None for models that paint."""

    id: str
    schema: Json
    usd_per_picture: float
    least_side: int
    most_side: int
    default_size: str
    scale: str | None
    default_scale: float
    default_format: OutputFormat

    def described(self) -> Json:
        """Itself in the list of models."""
        call = {
            "type": "model_run",
            "method": "POST",
            "server": "https://api.wavespeed.ai",
            "api_path": f"/api/v3/{self.id}",
            "request_schema": self.schema,
        }
        return {
            "model_id": self.id,
            "name": self.id,
            "base_price": self.usd_per_picture,
            "description": "",
            "type": "image-to-image" if "image" in self.schema["required"] else "text-to-image",
            "api_schema": {"api_schemas": [call]},
        }

    def pixels(self, values: Json) -> tuple[int, int]:
        """The size of its picture by its (validated) input. Raises ValueError with the words of the refusal."""
        text = str(values.get("size") or self.default_size)
        match = _SIZE.fullmatch(text)
        if not match:
            raise ValueError(f"invalid size: {text}, expected width*height")
        width, height = int(match[1]), int(match[2])
        if not (self.least_side <= width <= self.most_side and self.least_side <= height <= self.most_side):
            raise ValueError(f"invalid size: {text}, each side must be between {self.least_side} and {self.most_side}")
        return width, height

    def output_format(self, values: Json) -> OutputFormat:
        """What its picture is encoded as."""
        return values.get("output_format") or self.default_format

    def enlargement(self, values: Json) -> float | None:
        """How many times larger it makes its input; None for models that paint."""
        return None if self.scale is None else float(values.get(self.scale, self.default_scale))


def load_wavespeed_models(path: Path = HERE / "models.toml") -> Mapping[str, WaveSpeedModel]:
    """Read the table; by model id."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {row["id"]: _model(row, table["inputs"]) for row in table["models"]}


def _model(row: Mapping[str, Any], inputs: Mapping[str, Json]) -> WaveSpeedModel:
    properties = {name: inputs[name] for name in (*row["inputs"], *COMMON_INPUTS)}
    return WaveSpeedModel(
        id=row["id"],
        schema={
            "type": "object",
            "required": row["required"],
            "properties": properties,
            "additionalProperties": False,
        },
        usd_per_picture=row["usd_per_picture"],
        least_side=row["sides"][0],
        most_side=row["sides"][1],
        default_size=row["default_size"],
        scale=row.get("scale"),
        default_scale=row.get("default_scale", 1),
        default_format=row.get("default_format", "jpeg"),
    )
