"""What a call costs: by the user's own table, or else by the list prices that ship with genai-prices.  Never guessed.

A model's price is that of its name *at its server*: a local server may call its model gpt-4o.  Prices have steps (a
long prompt costs more a token), so each call is priced by itself, never their sum.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaven.media.audio import Audio
from leaven.models.keys import is_loopback, server_of

if TYPE_CHECKING:
    from decimal import Decimal

    from genai_prices.types import PriceCalculation, TieredPrices

    from leaven.models.calls import Medium

WORD_TOKENS = 1.3
TOKEN_BYTES = 4


@dataclass(frozen=True)
class Price:
    """The price of one model, in USD."""

    per_million: tuple[float, float]
    """Per million tokens, in and out, of a short prompt."""
    listed: tuple[str, str] | None = None
    """Name and address under which the price is listed; None where the user gave it."""
    share: float = 1.0
    """What of it is paid: half, where calls go in a batch."""

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """USD of one call."""
        if self.listed:
            return self.share * float(_calculated(*self.listed, tokens_in, tokens_out).total_price)
        return self.share * (self.per_million[0] * tokens_in + self.per_million[1] * tokens_out) / 1e6


def price(model: str, url: str, prices: Mapping[str, tuple[float, float]]) -> Price | None:
    """The price of a model at a server, or None where it is not known.

    ``prices`` is the user's own table, USD per million tokens in and out.  It stands before the list, and is the only
    price of a model on this machine.
    """
    if model in prices:
        return Price(prices[model])
    server = server_of(url)
    if server is None or is_loopback(url) or server.port != {"https": 443}.get(server.scheme):
        return None
    origin = f"https://{server.host}"
    place = origin + re.sub(r"^\w+://[^/?#]*", "", url)
    try:
        found = _calculated(model, place, 1, 1)
    except LookupError:
        return None
    rates = found.model_price.input_mtok, found.model_price.output_mtok
    if rates[0] is None or not _is_server_of(found.provider.api_pattern, origin, place):
        return None  # priced by the minute or the picture, or the list's pattern fits a stranger's host too
    return Price((_lowest(rates[0]), _lowest(rates[1])), (model, place))


def tokens(text: str) -> int:
    """About how many tokens a text has, whatever the model: 1.3 a word or one in four bytes, whichever is more."""
    return math.ceil(max(len(text.split()) * WORD_TOKENS, _size(text) / TOKEN_BYTES))


def most_tokens(text: str) -> int:
    """No fewer tokens than any tokenizer makes of a text: one a byte, and 16 for the frame around a message.

    What is reserved before a call must not be too little.  Digits, rare scripts and emoji do take a token a byte in
    some vocabularies; and beside the tokens of the answer the ones asked with cost little.
    """
    return _size(text) + 16


def tokens_of(medium: Medium) -> int:
    """About how many tokens an image or a sound has: 170 each 512 x 512 pixels and 85 for the whole; 10 a second."""
    if isinstance(medium, Audio):
        return 10 + math.ceil(10 * medium.seconds)
    wide, high = medium.size
    return 85 + 170 * min(8, math.ceil(wide / 512) * math.ceil(high / 512))


def most_tokens_of(medium: Medium) -> int:
    """No fewer tokens than a known model makes of an image or a sound: 6,000 for each 512 x 512 pixels, of which it
    sees eight at most, and 3,000 for the whole; 100 a second.

    Most models take a tenth of that.
    """
    if isinstance(medium, Audio):
        return 100 + math.ceil(100 * medium.seconds)
    wide, high = medium.size
    return 3000 + 6000 * min(8, math.ceil(wide / 512) * math.ceil(high / 512))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _calculated(model: str, place: str, tokens_in: int, tokens_out: int) -> PriceCalculation:
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out)
    return calc_price(usage, model_ref=model, provider_api_url=place)


def _lowest(rate: Decimal | TieredPrices | None) -> float:
    """A rate per million tokens before its steps; an embedding has none for what comes out."""
    from genai_prices.types import TieredPrices

    return float(rate.base if isinstance(rate, TieredPrices) else rate or 0)


def _is_server_of(pattern: str, origin: str, place: str) -> bool:
    """True where a list's pattern names this host to its end: most are open there, and fit api.openai.com.evil.org."""
    found = re.match(pattern, origin) or re.match(pattern, f"{origin}/")
    if found:
        rest = origin[found.end() :]
        return not rest or (found[0].endswith(".") and rest.isalpha())  # `api.moonshot.` is left open on purpose
    return re.sub(r"\\(.)", r"\1", pattern).startswith(f"{origin}/") and re.match(pattern, place) is not None
