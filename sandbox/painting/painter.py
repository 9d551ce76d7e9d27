"""From a brief to picture bytes: decides between portrait and scene, paints, finishes, encodes."""

from sandbox.painting.avatar import paint_avatar
from sandbox.painting.brief import PaintBrief
from sandbox.painting.encode import Note, credit_in, encode_pixels, with_note
from sandbox.painting.fast import paint_fast
from sandbox.painting.figure import cut_out, read_reference
from sandbox.painting.prompt_words import asks_for_a_place, words_of
from sandbox.painting.scene import at_size, paint_scene, painted_size
from sandbox.painting.themes import choose_theme


def paint(brief: PaintBrief) -> bytes:
    """The picture that a brief asks for, as an encoded file of exactly its size.

    Without references a portrait, or a place if the prompt plainly asks for one; with references a place in which the
    figure of the first one stands. Equal briefs give equal bytes on one machine.
    Raises `UnpaintableSize` or `UnreadableReference`, both of them `ValueError`s.
    """
    brief.check_size()
    if brief.drawing == "fast":
        return paint_fast(brief)
    figures = [cut_out(read_reference(data, index)) for index, data in enumerate(brief.references[:1])]
    for index, data in enumerate(brief.references[1:], start=1):
        read_reference(data, index)
    words = words_of(brief.prompt)
    theme, theme_score = choose_theme(words, brief.prompt)
    size = painted_size(brief.width, brief.height)
    if figures or asks_for_a_place(words, theme_score):
        picture = paint_scene(theme, brief.prompt, brief.seed, size, figures[0] if figures else None)
        note = Note(brief.seed, theme.name, credit_in(brief.references[0]) if figures else "")
    else:
        portrait = paint_avatar(brief.prompt, brief.seed, *size)
        picture, note = portrait.picture, Note(brief.seed, "avatar", portrait.credit)
    final = at_size(picture, brief.width, brief.height)
    data = encode_pixels(final, brief.output_format)
    return with_note(data, brief.output_format, note, (brief.width, brief.height))
