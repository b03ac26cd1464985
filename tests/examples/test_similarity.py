"""The model and the marks: copies are found, nothing leaves its bounds, nothing depends on the day."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples.conftest import Site

if TYPE_CHECKING:
    from newsdesk.similarity import Model

pytestmark = pytest.mark.usefixtures("load")


@cache
def quick() -> "Model":
    """A model of one megabyte."""
    from newsdesk.similarity import Model

    return Model(1)


@settings(deadline=None)  # the first call builds the model
@given(st.text(), st.text())
def test_similarity_stays_in_bounds(left: str, right: str) -> None:
    """Whatever is compared, the similarity lies between 0 and 1."""
    assert 0 <= quick().similarity(left, right) <= 1


@settings(deadline=None)
@given(st.text(alphabet="abcde fgh", min_size=3).filter(lambda text: any(len(word) > 1 for word in text.split())))
def test_a_copy_is_wholly_similar(text: str) -> None:
    """A text is 1 to itself, even if the model knows none of its words."""
    assert quick().similarity(text, text) == pytest.approx(1)


def test_an_edited_article_is_most_like_its_original() -> None:
    """With every ninth word left out, an article is still closest to itself among all."""
    from newsdesk import corpus

    texts = dict(enumerate(corpus.texts()[:60]))
    for number in range(0, 60, 7):
        edited = " ".join(word for i, word in enumerate(texts[number].split()) if i % 9)
        assert quick().rank(edited, texts)[0][0] == number


@pytest.mark.parametrize("megabytes", [0, 5])
def test_the_model_weighs_what_is_asked(megabytes: float, load: Callable[[str], Site]) -> None:
    """The projection has the size that NEWSDESK_MODEL_MB names, but never less than works."""
    from newsdesk.similarity import Model

    assert Model(megabytes).nbytes == pytest.approx(max(megabytes * 1e6, 160_000), rel=0.25)


@settings(deadline=None)
@given(st.text(), st.integers(0, 40))
def test_marks_are_few_sorted_and_fit(text: str, rarest: int) -> None:
    """Any text has at most 8 marks and as many as asked for words, ascending, and PostgreSQL can hold them."""
    from newsdesk.fingerprints import marks_of

    marks = marks_of(text, rarest)
    assert marks == sorted(set(marks))
    assert len(marks) <= 8 + rarest
    assert all(0 <= mark < 2**32 for mark in marks)


def test_marks_never_change() -> None:
    """Marks are stored, so another Python must find the same ones."""
    from newsdesk.fingerprints import marks_of

    assert marks_of("The quick brown fox jumps over the lazy dog") == marks_of(
        "the QUICK brown fox, jumps over the lazy dog!"
    )
    assert marks_of("one two three four five", 1) == [1018350795, 1613931443, 4104913968]


def test_excerpts_share_marks_with_their_article() -> None:
    """Two sentences are enough to find nearly every article by."""
    from newsdesk import corpus
    from newsdesk.fingerprints import DRAFT_WORD_MARKS, marks_of

    shared = 0
    for text in corpus.texts():
        excerpt = " ".join(corpus.sentences(text)[1:3])
        shared += bool(set(marks_of(excerpt, DRAFT_WORD_MARKS)) & set(marks_of(text)))
    assert shared > 0.9 * len(corpus.texts())
