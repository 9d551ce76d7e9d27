"""What bench/api.py shows: figures of blocks of requests, for people and for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.percentiles import Spread

LIMIT, OURS, LIMITED = "limit", "api", "api with limits"
# The engine stands still meanwhile, and starts afterwards what was accepted: as if it had a machine of its own.
APART, LIMITED_APART = "api, engine apart", "api with limits, engine apart"
# Of the limit's p95.
TARGETS: Final[Mapping[str, float]] = {"submit": 2.0, "status": 1.5}


@dataclass(frozen=True, slots=True)
class Block:
    """What one block showed; `cpu_ms` of the server's process for each request."""

    spread: Spread
    per_second: float
    cpu_ms: float
    failures: Sequence[str]


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians over blocks: milliseconds, and requests a second."""

    p50: float
    p95: float
    p99: float
    per_second: float
    cpu_ms: float

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> "Figures":
        """The medians."""
        spreads = [block.spread for block in blocks]
        return cls(
            p50=median(one.p50 for one in spreads),
            p95=median(one.p95 for one in spreads),
            p99=median(one.p99 for one in spreads),
            per_second=median(block.per_second for block in blocks),
            cpu_ms=median(block.cpu_ms for block in blocks),
        )


# Action -> server -> its blocks.
Found = Mapping[str, Mapping[str, Sequence[Block]]]


def table(found: Found) -> str:
    """For people."""
    lines = [f"{'':38}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}{'per s':>10}{'CPU ms':>10}"]
    for action, target in TARGETS.items():
        figures = {name: Figures.of(blocks) for name, blocks in found[action].items()}
        for name, one in figures.items():
            times = f"{one.p50:10.2f}{one.p95:10.2f}{one.p99:10.2f}{one.per_second:10.0f}{one.cpu_ms:10.2f}"
            lines.append(f"{action + ', ' + name:38}{times}")
        for name in (one for one in figures if one != LIMIT):
            ratio, cpu = _ratios(figures, name)
            verdict = "met" if ratio <= target else "MISSED"
            told = f"p95 is {ratio:.2f} of the limit's, target <= {target:g}: {verdict}; CPU {cpu:.2f}"
            lines.append(f"=> {action}, {name}: {told}")
    return "\n".join(lines)


def as_json(found: Found) -> dict[str, float]:
    """For machines: `submit_api_p95_ms`, `submit_api_p95_ratio`, `submit_api_with_limits_cpu_ratio`, ..."""
    told: dict[str, float] = {}
    for action, by_server in found.items():
        figures = {name: Figures.of(blocks) for name, blocks in by_server.items()}
        for name, one in figures.items():
            begin = f"{action}_{name}_".replace(",", "").replace(" ", "_")
            told |= {f"{begin}{part}_ms": getattr(one, part) for part in ("p50", "p95", "p99")}
            told |= {f"{begin}per_s": one.per_second, f"{begin}cpu_ms": one.cpu_ms}
            if name != LIMIT:
                told[f"{begin}p95_ratio"], told[f"{begin}cpu_ratio"] = _ratios(figures, name)
    return {name: round(value, 3) for name, value in told.items()}


def _ratios(figures: Mapping[str, Figures], name: str) -> tuple[float, float]:
    """(p95, CPU) of a server over those of the limit."""
    limit, one = figures[LIMIT], figures[name]
    return one.p95 / limit.p95, one.cpu_ms / limit.cpu_ms
