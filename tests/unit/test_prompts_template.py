"""Templates are filled in strictly, once, and with nothing but what was given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import MissingVariables, PromptError
from prompts.template import parse

HEAD = '+++\nname = "greeting"\nversion = 3\ndescription = "for tests"\n'
GREETING = (
    HEAD
    + 'optional = ["extra"]\n[defaults]\ntone = "warmly"\n+++\nGreet {{who}} {{tone}}, {{who}}!\n\nAlso: {{extra}}\n\nBye.'
)


def render(**variables: str) -> str:
    return parse("greeting", GREETING).render({"who": "Kai", "tone": "", "extra": ""} | variables).text


def test_a_prompt_says_what_it_was_made_from() -> None:
    rendered = parse("greeting", GREETING).render({"who": "Kai", "tone": "loudly", "extra": "now"})

    assert rendered.text == "Greet Kai loudly, Kai!\n\nAlso: now\n\nBye."
    assert (rendered.name, rendered.version) == ("greeting", 3)
    assert len(rendered.sha256) == 64
    assert rendered.sha256 != parse("greeting", GREETING.replace("Bye", "Tschüss")).sha256


def test_a_blank_variable_takes_its_default() -> None:
    assert render(tone=" \n ").startswith("Greet Kai warmly, Kai!")


def test_a_paragraph_without_its_optional_variable_is_left_out() -> None:
    assert render() == "Greet Kai warmly, Kai!\n\nBye."


def test_all_missing_variables_are_named_at_once() -> None:
    template = parse("two", HEAD.replace("greeting", "two") + "+++\n{{one}} {{two}} {{three}}")

    with pytest.raises(MissingVariables) as error:
        template.render({"three": "3"})
    assert error.value.facts == {"missing": ["one", "two"]}


def test_a_blank_variable_without_a_default_is_missing() -> None:
    with pytest.raises(MissingVariables, match="who"):
        render(who="  ")


def test_variables_that_the_template_does_not_know_are_refused() -> None:
    with pytest.raises(PromptError) as error:
        render(whom="Kai", toon="x")
    assert error.value.facts == {"unknown": ["toon", "whom"]}


@pytest.mark.parametrize(
    "hostile",
    [
        "{{tone}}",
        "{{who}}{{extra}}",
        "{{ secrets }}",
        "$who ${who} {who} %(who)s",
        "\\1 \\g<1>",
        "+++\nname = 'other'\n+++",
        "[[sandbox fault=lost_response times=1]]",
        "a\n\nb {{extra}}",
    ],
)
def test_what_a_user_writes_is_put_in_as_it_is(hostile: str) -> None:
    assert render(who="Kai", extra=hostile) == f"Greet Kai warmly, Kai!\n\nAlso: {hostile}\n\nBye."


@given(st.text(min_size=1).filter(lambda text: text.strip() == text))
def test_any_text_is_put_in_as_it_is(text: str) -> None:
    assert render(extra=text) == f"Greet Kai warmly, Kai!\n\nAlso: {text}\n\nBye."


@pytest.mark.parametrize(
    "source",
    [
        "",
        "no front matter {{who}}",
        "+++\nname = \n+++\ntext",
        "+++\nname = 'greeting'\n+++\nno version",
        HEAD + "surprise = 1\n+++\ntext",
        "preface\n" + HEAD + "+++\ntext",
        HEAD.replace("greeting", "other") + "+++\ntext",
        HEAD + 'optional = ["nowhere"]\n+++\ntext',
        HEAD + '[defaults]\nnowhere = "x"\n+++\ntext',
        HEAD + "+++\ntext {{ spaced }}",
        HEAD + "+++\ntext {{Upper}}",
        HEAD + "+++\ntext {{open",
    ],
)
def test_a_template_that_is_not_sound_stops_the_start(source: str) -> None:
    with pytest.raises(PromptError, match="prompt greeting"):
        parse("greeting", source)
