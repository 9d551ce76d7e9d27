"""How patient a purchase is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BuyingRules:
    """How patient a purchase is. Seconds."""

    # From the commit of `sent` to the first byte of the POST: a process that was paused longer must not send any more.
    start_within_s: float = 5.0
    # Providers may need a moment until a job shows up in their list.
    list_lag_s: float = 5.0
    look_up_every_s: float = 1.0
    # How long after the deadline a lost purchase is still looked for, at a provider that does not answer.
    ask_on_s: float = 60.0
    shortest_pause_s: float = 0.5
    longest_pause_s: float = 10.0
    # How often a provider that cannot be reached is tried before the next candidate is; the last one has up to its deadline.
    connect_attempts: int = 2
    sends: int = 3  # how often a purchase may go out whose answers are lost
