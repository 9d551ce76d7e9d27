"""The figures, each beside its limits: a table for people, an object for machines."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bench.audit import Audit
from bench.in_flight import InFlightReport
from bench.percentiles import Spread
from bench.phases import PhaseReport
from bench.process_usage import CALLER

OURS = ("api", "worker", "temporal", "postgres", "store")
TARGET_RATIO, TARGET_ADDED_MS, TARGET_RSS_MIB = 1.6, 120, 600
LABEL_WIDTH, CELL_WIDTH = 62, 18


@dataclass(frozen=True, slots=True)
class Contest:
    """The same load for the two limits and for us."""

    bare: PhaseReport
    minimal: PhaseReport
    ours: PhaseReport

    @property
    def limit_ratio(self) -> float:
        """Minimal Temporal's chains/s over ours: at 1 the ledger would cost nothing."""
        return self.minimal.per_second / self.ours.per_second if self.ours.per_second else math.inf

    @property
    def lost(self) -> int:
        """What should be zero, over all three."""
        return self.bare.lost + self.minimal.lost + self.ours.lost

    def row(self, label: str, cell: Callable[[PhaseReport], str]) -> str:
        """One line of the table."""
        return _line(label, *(cell(report) for report in (self.bare, self.minimal, self.ours)))


@dataclass(frozen=True, slots=True)
class OverheadReport:
    """`fast`: jobs that take no time, for throughput. `slow`: jobs of seconds, for what is added to them."""

    fast: Contest
    slow: Contest
    in_flight: InFlightReport

    @property
    def lost(self) -> int:
        """What should be zero."""
        return self.fast.lost + self.slow.lost + self.in_flight.audit.lost

    def figures(self) -> dict[str, float | None]:
        """For machines; null where nothing could be measured.

        Times are the caller's; CPU is that of our two processes and their three servers together.
        """
        figures = {
            "added_ms_p50": self.slow.ours.added.p50,
            "added_ms_p95": self.slow.ours.added.p95,
            "chains_per_s": self.fast.ours.per_second,
            "limit_ratio": self.fast.limit_ratio,
            "cpu_ms_per_chain": self.fast.ours.cpu_ms(*OURS),
            "in_flight_rss_mib": self.in_flight.usage["worker"].peak_rss_mib,
        }
        rounded = {name: round(value, 3) if math.isfinite(value) else None for name, value in figures.items()}
        return {**rounded, "lost": self.lost}

    def table(self) -> str:
        """For people."""
        ours, flight = self.slow.ours, self.in_flight
        return "\n".join(
            [
                f"What a chain of two pictures costs. Everything on this machine, {os.cpu_count()} cores.",
                *_contest_lines(self.fast),
                _verdict("minimal Temporal's chains/s over ours", self.fast.limit_ratio, TARGET_RATIO, ".2f"),
                *_contest_lines(self.slow),
                _verdict("time added to both jobs, p50 ms", ours.added.p50, TARGET_ADDED_MS, ".0f"),
                *_in_flight_lines(flight),
                _verdict("worker's peak resident MiB", flight.usage["worker"].peak_rss_mib, TARGET_RSS_MIB, ".0f"),
                _verdict("provider calls refused for rate", flight.refused, 0, "d"),
                "",
                _verdict("lost, over all phases", self.lost, 0, "d"),
            ]
        )


def _contest_lines(contest: Contest) -> list[str]:
    load, ours = contest.ours.load, contest.ours
    lines = [
        "",
        f"Jobs of {load.job_s:g} s: {load.chains} chains, {load.at_once} at once",
        _line("", "bare script", "minimal Temporal", "Diorama"),
        contest.row("chains/s", lambda report: f"{report.per_second:.1f}"),
        contest.row("end to end, the caller's view, p50/p95/p99 ms", lambda report: _spread(report.seen)),
        contest.row("  beyond the provider's own time", lambda report: _spread(report.added)),
        contest.row("end to end by our rows, p50/p95/p99 ms", lambda report: _spread(report.kept)),
        contest.row("  beyond the provider's own time", lambda report: _spread(report.kept_added)),
        contest.row(f"CPU ms/chain: {' + '.join(OURS)}", lambda report: f"{report.cpu_ms(*OURS):.1f}"),
    ]
    lines += [contest.row(f"  {name}", partial(_cpu, name)) for name in (*OURS, "sandbox", CALLER)]
    lines.append(contest.row("lost", lambda report: str(report.lost)))
    failures = [words for report in (contest.bare, contest.minimal, ours) for words in report.failures]
    return [*lines, *_first(failures), *_audit_lines(ours.audit)]


def _in_flight_lines(flight: InFlightReport) -> list[str]:
    memory = ", ".join(f"{name} {usage.peak_rss_mib:.0f}" for name, usage in flight.usage.items() if name != CALLER)
    return [
        "",
        f"Many in flight: {flight.load.chains} chains, jobs of {flight.load.job_s:g} s, one worker",
        f"most at once {flight.most_at_once}; all ended after {flight.wall_s:.0f} s",
        f"beyond the provider's own time, by our rows, p50/p95/p99 ms: {_spread(flight.kept_added)}",
        f"peak resident MiB: {memory}",
        *_first(flight.failures),
        *_audit_lines(flight.audit),
    ]


def _audit_lines(audit: Audit | None) -> list[str]:
    if audit is None:
        return []
    asked = f"{audit.asked} asked, {audit.failed} failed"
    money = f"{audit.bought} bought, {audit.charged} charged"
    pictures = f"{audit.rows} rows, {audit.objects} objects"
    return [f"audit: {asked}; {money}; {pictures}; {audit.missing} missing"]


def _line(label: str, *cells: str) -> str:
    return label.ljust(LABEL_WIDTH) + "".join(cell.rjust(CELL_WIDTH) for cell in cells)


def _verdict(label: str, value: float, target: float, digits: str) -> str:
    return f"=> {label}: {value:{digits}}, target <= {target:g}: {'met' if value <= target else 'MISSED'}"


def _spread(spread: Spread | None) -> str:
    return "-" if spread is None else f"{spread.p50:.0f}/{spread.p95:.0f}/{spread.p99:.0f}"


def _cpu(service: str, report: PhaseReport) -> str:
    return f"{report.cpu_ms(service):.1f}" if service in report.usage else "-"


def _first(failures: Sequence[str], most: int = 3) -> list[str]:
    return [f"  failure: {words}" for words in failures[:most]]
