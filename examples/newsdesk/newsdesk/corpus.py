"""The news: the Lee corpus (350 real articles of 2001/2002) that ships inside the gensim package, and variations.

M. D. Lee, B. Pincombe, M. Welsh (2005): An empirical evaluation of models of text document similarity.
"""

import random
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

# The two files have different encodings; the smaller one holds a pound sign in Latin-1.
_FILES = (("lee_background.cor", "utf-8"), ("lee.cor", "latin-1"))
_SENTENCE_END = re.compile(r'(?<=[.!?]["”])\s+(?=["“A-Z])|(?<=[.!?])\s+(?=["“A-Z])')
_FIGURE = re.compile(r"(?<![\w.,:/$-])\d{1,3}(?![\w/%-]|[.,:]\d)")  # a whole number that stands alone
_DANGLING = frozenset(
    {"a", "an", "and", "as", "at", "by", "for", "from", "has", "in", "is", "of", "on", "that", "the", "to", "with"}
)

# A tag belongs to an article that holds one of its words; the order decides which tags an article gets first.
KEYWORDS: dict[str, str] = {
    "Afghanistan": "afghanistan afghan taliban kabul kandahar qaeda laden",
    "Middle East": "israel israeli palestinian arafat gaza hamas sharon iraq",
    "Fire and weather": "fire fires bushfire storm flood rain winds cyclone mountains",
    "Cricket": "cricket wicket wickets batsman innings waugh bowler",
    "Sport": "match team captain coach cup goal tennis hewitt rugby championship",
    "Economy": "economy economic unemployment tax budget inflation dollar rates",
    "Business": "company airline ansett qantas shares profit investors hih telstra",
    "Work": "workers union industrial strike wages jobs",
    "Courts": "court judge trial charged jury commission magistrate",
    "Crime": "police arrested murder shot robbery suspects stabbed",
    "Politics": "minister election parliament democrats senator labor liberal opposition",
    "Asylum": "asylum detention refugees boat woomera nauru",
    "Health": "hospital health patients disease cancer doctors medical virus",
    "Science": "scientists research space study researchers shuttle",
    "Transport": "aircraft plane train road flight passengers crash",
    "Defence": "troops military army defence navy forces",
    "Asia": "india pakistan china japan indonesia kashmir",
    "Africa and Americas": "zimbabwe mugabe africa nigeria argentina brazil canada",
}
FALLBACK_TAG = "World"
TAGS = (*KEYWORDS, FALLBACK_TAG)
_TAG_OF_WORD = {word: tag for tag, words in KEYWORDS.items() for word in words.split()}
TAGS_PER_ARTICLE = 3


class Draft(NamedTuple):
    """An article's text before it has an author and a date."""

    title: str
    body: str
    tags: tuple[str, ...]


@cache
def texts() -> tuple[str, ...]:
    """The 350 articles, as they were printed."""
    gensim = find_spec("gensim")  # only looked up: importing it takes a second, which the seed need not spend
    if gensim is None or gensim.origin is None:
        raise ModuleNotFoundError(
            "No gensim, which brings the articles: pip install -r requirements.txt", name="gensim"
        )
    folder = Path(gensim.origin).parent / "test" / "test_data"
    lines = (line for name, code in _FILES for line in (folder / name).read_text(encoding=code).splitlines())
    return tuple(line.strip() for line in lines if line.strip())


@cache
def sentences(text: str) -> tuple[str, ...]:
    """A text cut after its full stops."""
    return tuple(_SENTENCE_END.split(text))


def title_of(text: str, words: int = 9) -> str:
    """A headline: the first words of the text."""
    start = sentences(text)[0].split()
    cut = start[:words]
    while len(start) > words and len(cut) > 1 and cut[-1].lower() in _DANGLING:
        cut.pop()
    return " ".join(cut).strip(' ".,;:-') + ("…" if len(start) > words else "")


def tags_of(text: str) -> tuple[str, ...]:
    """The subjects whose words occur most often."""
    found: dict[str, int] = {}
    for word in re.findall(r"[a-z]+", text.lower()):
        tag = _TAG_OF_WORD.get(word)
        if tag:
            found[tag] = found.get(tag, 0) + 1
    ranked = sorted(found, key=lambda tag: (-found[tag], TAGS.index(tag)))
    return tuple(ranked[:TAGS_PER_ARTICLE]) or (FALLBACK_TAG,)


@cache
def _texts_of_tag() -> dict[str, tuple[int, ...]]:
    return {tag: tuple(i for i, text in enumerate(texts()) if tag in tags_of(text)) for tag in TAGS}


def draft(number: int) -> Draft:
    """The article with this number: the real texts first, then variations without end.

    A variation keeps most sentences of one text, in order, takes some from others on the same subject and
    changes figures, as follow-up reports do. The same number always gives the same article.
    """
    base = texts()[number % len(texts())]
    if number < len(texts()):
        return Draft(title_of(base), base, tags_of(base))
    dice = random.Random(number)
    kept = [s for s in sentences(base) if dice.random() < 0.7] or list(sentences(base))
    others = _texts_of_tag()[dice.choice(tags_of(base))]
    for _ in range(dice.randint(1, 4)):
        extra = dice.choice(sentences(texts()[dice.choice(others)]))
        kept.insert(dice.randint(1, len(kept)), extra)
    body = _FIGURE.sub(lambda found: str(max(2, int(found[0]) + dice.randint(-5, 9))), " ".join(kept))
    return Draft(title_of(body), body, tags_of(body))
