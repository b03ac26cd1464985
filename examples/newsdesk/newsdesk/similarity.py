"""The model that compares texts by what they are about: latent semantic indexing over n-grams (gensim).

It is trained on the corpus when it is built, which takes seconds, and weighs what NEWSDESK_MODEL_MB asks for:
the larger, the longer the n-grams and the more topics it knows.
"""

import math
from typing import Any

from gensim import corpora, matutils, models

from newsdesk import corpus
from newsdesk.fingerprints import overlap, words_of

_BYTES_PER_NUMBER = 8  # gensim's projection is float64
_FEWEST_TOPICS, _MOST_TOPICS = 20, 300  # 350 texts have no more than 350 independent topics
_SMALL_MB = 5.0


class Model:
    """Compares texts. Building it is the expensive part; comparing takes about a millisecond.

    Args:
        megabytes: weight of the projection (topics x n-grams x 8 bytes).
    """

    def __init__(self, megabytes: float) -> None:
        self.topics = round(min(_MOST_TOPICS, max(_FEWEST_TOPICS, math.sqrt(megabytes) * 17.3)))
        self._longest = 2 if megabytes < _SMALL_MB else 4
        terms = [self._terms(text) for text in corpus.texts()]
        self._dictionary = corpora.Dictionary(terms)
        keep = max(1000, int(megabytes * 1e6 / _BYTES_PER_NUMBER / self.topics))
        self._dictionary.filter_extremes(no_below=1, no_above=0.5, keep_n=keep)
        counts = [self._dictionary.doc2bow(text) for text in terms]
        self._weights = models.TfidfModel(counts)
        self._projection = models.LsiModel(
            self._weights[counts],
            id2word=self._dictionary,
            num_topics=self.topics,
            power_iters=1,
            extra_samples=50,
            random_seed=2001,
        )

    @property
    def nbytes(self) -> int:
        """Weight of the projection in bytes."""
        return int(self._projection.projection.u.nbytes)

    def vector(self, text: str) -> list[tuple[int, float]]:
        """What a text is about: (topic, strength) pairs; empty if the model knows none of its words."""
        vector: list[tuple[int, float]] = self._projection[self._weights[self._dictionary.doc2bow(self._terms(text))]]
        return vector

    def similarity(self, left: str, right: str) -> float:
        """How alike two texts are, from 0 to 1; 1 is a copy."""
        return self.rank(left, {0: right})[0][1]

    def rank(self, text: str, others: dict[int, str]) -> list[tuple[int, float]]:
        """The (key, similarity) of ``others``, the most similar first.

        The model judges the subject; shared wording counts beside it, so that a copy of a text about something
        the model has never heard of is found, too.
        """
        mine = self.vector(text)
        scores = [
            (key, max(0.0, min(1.0, float(matutils.cossim(mine, self.vector(other)))), overlap(text, other)))
            for key, other in others.items()
        ]
        return sorted(scores, key=lambda score: (-score[1], score[0]))

    def _terms(self, text: str) -> list[Any]:
        words = words_of(text)
        lengths = range(1, self._longest + 1)
        return [" ".join(words[i : i + n]) for n in lengths for i in range(len(words) - n + 1)]
