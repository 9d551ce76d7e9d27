"""Text that can be written down anywhere: PostgreSQL refuses NUL, and logs and terminals the other control characters."""


def printable(text: str) -> str:
    """The text itself. Raises ValueError when it has control characters other than line feeds and tabs."""
    if any(ord(character) < 32 and character not in "\n\t" for character in text):
        raise ValueError("control characters are not allowed")
    return text
