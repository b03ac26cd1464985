"""Marks that an article shares with its near-duplicates, so that a database can find candidates.

Two kinds: the smallest hashes of its word four-grams (a bottom-k sketch: Broder, "On the resemblance and
containment of documents", 1997), which survive small edits, and its rarest words, which survive rewriting.
"""

import re
from collections import Counter
from functools import cache
from heapq import nsmallest
from zlib import crc32

from newsdesk import corpus

SHINGLE_WORDS = 4
SHINGLE_MARKS = 8
WORD_MARKS = 6  # of an article
DRAFT_WORD_MARKS = 40  # of a draft, which is looked up once: an excerpt need not hold the same rarest words


def words_of(text: str) -> list[str]:
    """The words in lower case, without figures and punctuation."""
    return re.findall(r"[^\W\d_]{2,}", text.lower())


def shingles(words: list[str]) -> set[str]:
    """Every run of four words; a shorter text is one shingle."""
    last = max(1, len(words) - SHINGLE_WORDS + 1)
    return {" ".join(words[i : i + SHINGLE_WORDS]) for i in range(last)} if words else set()


@cache
def _document_frequency() -> Counter[str]:
    return Counter(word for text in corpus.texts() for word in set(words_of(text)))


def marks_of(text: str, rarest: int = WORD_MARKS) -> list[int]:
    """The marks of a text, sorted: at most 8 shingles and its ``rarest`` words, as numbers of 32 bits."""
    words = words_of(text)
    frequency = _document_frequency()
    hashes = nsmallest(SHINGLE_MARKS, (crc32(shingle.encode()) for shingle in shingles(words)))
    rare = nsmallest(rarest, set(words), key=lambda word: (frequency[word], crc32(word.encode())))
    return sorted({*hashes, *(crc32(word.encode()) for word in rare)})


def overlap(left: str, right: str) -> float:
    """How much of two texts is the same, word for word: shared shingles over all shingles (Jaccard), 0 to 1."""
    a, b = shingles(words_of(left)), shingles(words_of(right))
    return len(a & b) / len(a | b) if a and b else 0.0
