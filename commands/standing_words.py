"""How the standing of a provider or a model is put into few words."""

from commands.http_client import Json

QUIET = "dim"
STYLES = {"paused": "bold yellow", "draining": "yellow", "open": "bold red", "half_open": "yellow"}


def state(item: Json) -> str:
    """What operators and the breaker say: `active`, or what is not as usual, with markup."""
    health = item["health"]
    words = [health["mode"]] if health["mode"] != "active" else []
    if health["breaker"] != "closed":
        words.append(f"breaker {health['breaker'].replace('_', ' ')}")
    if health["busy_until"]:
        words.append(f"busy until {health['busy_until'][11:19]}")
    style = next((STYLES[word] for word in (health["breaker"], health["mode"]) if word in STYLES), None)
    text = ", ".join(words) or "active"
    return f"[{style}]{text}[/{style}]" if style else text


def success(item: Json) -> str:
    """`98 % of 120`; nothing without traffic."""
    traffic = item["health"]["traffic"]
    rate, count = traffic["success_rate"], traffic["successes"] + traffic["failures"]
    return "" if rate is None else f"{rate * 100:.0f} % of {count}"


def seconds(value: float | None) -> str:
    """`12.3 s`; nothing for what is not known."""
    return "" if value is None else f"{value:.1f} s"


def took(item: Json) -> str:
    """`12.3 s / 20.1 s`: the median, and what nine of ten stay below."""
    traffic = item["health"]["traffic"]
    return "" if traffic["p50_s"] is None else f"{seconds(traffic['p50_s'])} / {seconds(traffic['p90_s'])}"


def queue(item: Json) -> str:
    """`3 wait, 12 there`; nothing when it is empty."""
    held, sent = item["queue"]["held"], item["queue"]["at_provider"]
    parts = [f"{held} wait" if held else "", f"{sent} there" if sent else ""]
    return ", ".join(part for part in parts if part)


def limit(item: Json) -> str:
    """`600/min`, and whether an operator said so."""
    per_minute = item["limit"]["creates_per_minute"]
    if per_minute is None:
        return ""
    return f"{per_minute}/min" + (" (operator)" if item["limit"]["set_by_operator"] else "")
