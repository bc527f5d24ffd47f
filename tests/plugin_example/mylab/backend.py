"""A model of our own: it says what it is given, in capitals."""

from leaven.models.calls import Answer


class Capitals:
    """Plays ``mylab:capitals`` for the role ``translate``."""

    limiter, price, left_out = None, None, ()
    free = True  # it runs on this machine

    def __init__(self, uri):
        self.uri = self.model = uri

    async def play(self, ask, about):
        return Answer(ask.content["text"].upper())

    async def close(self):
        pass
