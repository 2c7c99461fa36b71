"""Texts as every engine can keep them: what is asked of them means the same as before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pixseek.stores.texts import SEPARATOR, meant, written

# Characters at the edges of what is written otherwise, and one plain one.
_EDGES = "a\x00\x01\x02\ud7fe\ud7ff\ud800\ud801\udbff\udc00\udfff\ue000\uffff" + "".join(
    map(chr, [0x10EFFF, 0x10F000, 0x10F001, 0x10F002, 0x10F003, 0x10F801, 0x10F802, 0x10F803])
)
_texts = st.text(st.sampled_from(_EDGES), max_size=6)
often = settings(max_examples=1000, deadline=None, derandomize=True, database=None)


@often
@given(_texts, _texts)
def test_order_beginnings_and_parts_of_texts_are_kept(one: str, other: str) -> None:
    assert (written(one) < written(other)) == (one < other)
    assert written(one).startswith(written(other)) == one.startswith(other)
    assert (written(other) in written(one)) == (other in one)
    assert (written(other) in written(one + other + one)) is True


@often
@given(_texts)
def test_a_text_comes_back_and_what_is_written_is_valid(text: str) -> None:
    assert meant(written(text)) == text
    assert written(text).encode().decode() == written(text)
    assert "\0" not in written(text)
    assert SEPARATOR not in written(text)


def test_every_character_keeps_its_place_in_the_order() -> None:
    characters = [written(chr(code)) for code in range(0x110000)]
    assert characters == sorted(characters)
    assert len(set(characters)) == len(characters)


@often
@given(st.lists(_texts, max_size=4), _texts.filter(bool))
def test_nothing_is_found_across_two_texts_that_are_joined(texts: list[str], part: str) -> None:
    joined = "".join(SEPARATOR + written(text) for text in texts) + SEPARATOR
    assert (written(part) in joined) == any(part in text for text in texts)
    assert (SEPARATOR + written(part) in joined) == any(text.startswith(part) for text in texts)


def test_ordinary_texts_are_written_as_they_are() -> None:
    for text in ("", "a/b.jpg", "café", "照片", "👩🏽‍🚀", "\t\n", "\ue000"):
        assert written(text) == text
