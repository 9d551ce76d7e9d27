"""Prompt templates."""

from errors.base import DioramaError


class PromptError(DioramaError):
    """A prompt template cannot be rendered."""

    code = "prompt_error"
    title = "A prompt template is broken"
    suggestion = "The operator must mend the template that the detail names."


class UnknownPrompt(PromptError):
    """No template has this name."""

    code = "unknown_prompt"


class MissingVariables(PromptError):
    """The template needs variables that were not given; `facts['missing']` names them."""

    code = "missing_variables"
