"""The base of every contract."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable model that refuses fields it does not know."""

    # A value that is refused may be a prompt or a secret: messages say where it was and what is wrong, and not what it was.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
