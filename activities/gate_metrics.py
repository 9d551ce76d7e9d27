"""How often, and why, purchases had to wait before they could go out: counters for Prometheus."""

from prometheus_client import CollectorRegistry, Counter


class GateMetrics:
    """Counters of one worker process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        words = ["provider", "model", "code"]
        self.held_back = Counter(
            "diorama_purchases_held_back",
            "Purchases that waited for a limit, a busy provider, a breaker or an operator",
            words,
            registry=registry,
        )
