"""Which language a text is in: py3langid (BSD-3), whose model is in its wheel (4.6 MB, 139 languages)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from leaven.errors import MissingExtra

LEAST = 1e-4
_CODES = """
af:afr am:amh an:arg ar:ara as:asm az:aze ba:bak be:bel bg:bul bn:ben br:bre bs:bos ca:cat cs:ces cy:cym da:dan
de:deu dz:dzo el:ell en:eng eo:epo es:spa et:est eu:eus fa:fas fi:fin fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg
gu:guj ha:hau he:heb hi:hin hr:hrv ht:hat hu:hun hy:hye id:ind ig:ibo is:isl it:ita ja:jpn jv:jav ka:kat kk:kaz
km:khm kn:kan ko:kor ku:kur ky:kir la:lat lb:ltz lg:lug ln:lin lo:lao lt:lit lv:lav mg:mlg mk:mkd ml:mal mn:mon
mr:mar ms:msa mt:mlt my:mya ne:nep nl:nld nn:nno no:nor oc:oci om:orm or:ori pa:pan pl:pol ps:pus pt:por qu:que
ro:ron ru:rus rw:kin sa:san se:sme si:sin sk:slk sl:slv sn:sna so:som sq:sqi sr:srp st:sot sv:swe sw:swa ta:tam
te:tel tg:tgk th:tha tk:tuk tl:tgl tr:tur tt:tat ug:uig uk:ukr ur:urd uz:uzb vi:vie vo:vol wa:wln xh:xho yo:yor
zh:zho zu:zul
"""
THREE = dict(pair.split(":", 1) for pair in _CODES.split())
"""The codes of two letters (ISO 639-1) as those of three (639-3) that all else here has."""
MOST = 20_000
"""Characters that are read of a text: more change nothing."""
EVEN = 0.02
"""Where none is more probable, nothing tells; 1 of 140 is 0.007, and two have the same name."""


def languages(text: str) -> Mapping[str, float]:
    """The probability of each language by its code of three letters, the likeliest first; none of a text that has
    nothing to tell by: no letters, or a word alone.  Raises MissingExtra."""
    if not any(map(str.isalpha, text[:MOST])):
        return {}
    ranked = _identifier().rank(text[:MOST])
    if ranked[0][1] < EVEN:  # all are as likely as each other
        return {}
    found: dict[str, float] = {}
    for code, probability in ranked:
        if probability < LEAST:
            break
        name = THREE.get(code, code)
        found[name] = found.get(name, 0.0) + float(probability)
    return found


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MissingExtra("language needs the extra `text` (py3langid).", 'pip install "leaven[text]"') from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
