"""What is left of a text when only its longest words stay."""

from pydantic import Field

from leaven.operators import Make


class Sketch(Make):
    """Keep the n longest words of a text, in their order; the label stays.

    A text that has no more words than that is refused as `short`.

    Needs text.  Makes text.

    >>> Sketch(2)({"text": "please cancel my order"})
    [{'text': 'please cancel'}]
    """

    n: int = Field(4, ge=1, le=50)
    """How many words stay."""

    def make(self, record, ctx):
        words = record["text"].split()
        if len(words) <= self.n:
            yield record.child().refuse("short")
            return
        longest = sorted(range(len(words)), key=lambda i: -len(words[i]))[: self.n]
        yield record.child(text=" ".join(words[i] for i in sorted(longest)))
