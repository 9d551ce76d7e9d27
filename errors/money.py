"""What a request may cost: ceilings, budgets, quotes."""

from errors.requests import InvalidRequest, RequestError


class TooExpensive(InvalidRequest):
    """No model can make the request for what it may cost at most; `least_usd` says what is needed."""

    code = "too_expensive"
    title = "The request costs more than it may"
    suggestion = "Allow more with max_cost_usd, or ask for fewer pictures, a lower quality or a smaller size."


class BudgetExhausted(RequestError):
    """What the request may cost does not fit a budget; `of`, `period`, `left_usd` and `resets_at` say which, and how long."""

    code = "budget_exhausted"
    title = "A budget has no room for this request"
    suggestion = "Wait until the budget is whole again, ask for something cheaper, or have the budget raised."


class QuoteExpired(RequestError):
    """The price was promised for a while, and that is over."""

    code = "quote_expired"
    title = "The quote has expired"
    suggestion = "Ask for a new quote."


class QuoteMismatch(RequestError):
    """The request is not the one that the price was promised for."""

    code = "quote_mismatch"
    title = "The quote is for another request"
    suggestion = "Send the request exactly as it was quoted, or ask for a quote for this one."


class QuoteUsed(RequestError):
    """A quote is good for one generation; `generation_id` says for which it was used."""

    code = "quote_used"
    title = "The quote has been used"
    suggestion = "Follow that generation, or ask for a new quote."
