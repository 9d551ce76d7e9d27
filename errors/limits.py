"""How much a tenant may ask for in a time."""

from errors.requests import RequestError


class RateLimited(RequestError):
    """Too many requests in too short a time; `limit` says which limit it was, `retry_after_s` how long to wait."""

    code = "rate_limited"
    title = "Too many requests"
    retryable = True
    suggestion = "Wait for as long as Retry-After says, then go on more slowly."


class QueueFull(RequestError):
    """So many generations of the tenant are under way that no more are accepted; `limit` is how many may be."""

    code = "queue_full"
    title = "Too many of your generations are under way"
    retryable = True
    suggestion = "Wait until some have ended, or cancel some."


class DailyQuotaExhausted(RequestError):
    """The tenant had all generations of this day; `limit` is how many, `resets_at` when the next day begins."""

    code = "daily_quota_exhausted"
    title = "The day's generations are used up"
    retryable = True
    suggestion = "Go on when the next day begins by UTC, or have the quota raised."
