"""Statements that name an option and are no answer: denied, hypothetical, or a second choice.

The words around a statement decide, within its sentence and at most ``WINDOW`` characters away.
"""

from __future__ import annotations

import re

WINDOW = 240
# A full stop before a small letter ends no sentence: "E. coli", "vs. the".
SENTENCE = re.compile(r"[!?;\n\u3002\uff01\uff1f]|\.(?=\s|$)(?!\s+[a-z\u00df-\u00ff\u0430-\u044f])")
NOUN = (
    r"(?:answers?|options?|choices?|solution|guess|diagnosis|label|antwort|l\u00f6sung|r\u00e9ponse"
    r"|respuesta|opci\u00f3n|risposta|resposta|alternativa|\u043e\u0442\u0432\u0435\u0442)"
)
# What makes the answer behind it another one; a noun or "most likely" may follow.
NOT_THE_ANSWER = re.compile(
    r"(?:"
    r"\b(?:wrong|incorrect|false|erroneous|mistaken|inaccurate|invalid|unlikely|worst"
    r"|less (?:likely|appropriate)|least (?:likely|appropriate)|rejected|excluded|tempting"
    r"|second(?:ary)?|2nd|third|3rd|next|runner[- ]up|other|another|alternate|alternative"
    r"|falsche[nrs]?|falsch|unrichtige[nrs]?|zweit(?:e[nrs]?|beste[nrs]?|wahrscheinlichste[nrs]?)"
    r"|n\u00e4chstbeste[nrs]?|andere[nrs]?|keine(?:sfalls)?"
    r"|mauvaise|fausse|autre|deuxi\u00e8me|seconde"
    r"|segunda|otra|peor|falsa|incorrecta|seconda|altra|sbagliata|outra|errada|incorreta"
    r"|\u043d\u0435\u043f\u0440\u0430\u0432\u0438\u043b\u044c\u043d\u044b\u0439"
    r"|\u043d\u0435\u0432\u0435\u0440\u043d\u044b\u0439|\u0432\u0442\u043e\u0440\u043e\u0439)"
    r"[*_]*(?:[ -](?:possible|plausible|potential|best|good|better|most|likely|probable|close"
    r"|reasonable|appropriate|common|beste|meilleure|mejor|migliore|melhor))*"
    r"|(?:\b(?:not|never|neither|nor|rather than|instead of|nicht|pas|nunca|non|n\u00e3o"
    r"|\u043d\u0435)|n['\u2019]t)[*_]*(?: (?:the|a|an|my|our|die|eine|la|una|a|uma))?"
    r"(?: (?:single|correct|right|best|most|likely|appropriate|richtige|korrekte|bonne|correcta))*"
    r"|(?:\u9519\u8bef|\u932f\u8aa4|\u4e0d|\u975e|\u6b21\u4f18|\u7b2c\u4e8c|\u5176\u4ed6|\u53e6\u4e00"
    r"|\u8aa4)\w?"
    rf")[*_\s]*(?:\b{NOUN}\b[*_]*(?:(?: is| would be|:)[\s$\\*_]*)?)?$",
    re.IGNORECASE,
)
# A statement that somebody else would make, or that the sentence denies.
NOT_SAID = re.compile(
    r"(?:(?:n['\u2019]t|\bnot|\bnever|\bcannot) (?:\w+ )?(?:think|believe|say|agree|mean|imply"
    r"|suggest|conclude|claim|(?:true|the case|correct) that)"
    r"|\b(?:(?<!no )(?<!out )(?<!any )(?<!beyond )doubt|deny|wrongly|mistakenly"
    r"|erroneously|incorrectly|tempting to (?:say|think|assume))"
    r"|\b(?:one|you|some|many|people|students|they|others) (?:might|may|could|would)(?: \w+){0,3}"
    r" (?:think|say|argue|assume|suggest|believe|guess|choose|pick)"
    r"|\bwhether)\b(?: that)?(?: (?:the|my|our))?[*_\s]*$",
    re.IGNORECASE,
)
CLAUSE = (
    r"(?:^|[,:(\u2014\u2013-]|\b(?:and|but|or|then|that|however|only|note|und|aber|dass|et|mais|que"
    r"|y|pero))\W*"
)
# A condition; "even if" is none, nor what one says before an answer, as in "if I had to choose".
CONDITION = re.compile(
    rf"{CLAUSE}(?:"
    r"(?<!even )(?:if|unless|assuming|suppose|supposing|provided|in case)\b"
    r"(?! (?:i|we|you|one|forced|pressed|asked|so|necessary|any)\b)"
    r"|(?:had|were|should) (?:she|he|it|they|the|this|that|there|his|her|an?)\b"
    r"|(?:wenn|falls|sofern|angenommen)\b(?! (?:ich|wir|man)\b)"
    r"|(?:w\u00e4re|h\u00e4tte) (?:sie|er|es|der|die|das)\b"
    r"|si (?:elle|il|la?|le|les|el|los|estuvi|fuera|hubiera|tuviera|tuvi|no )\w*"
    r"|se (?:fosse|avesse|ela|ele|o|a|il|la|estivesse|tivesse|houvesse)\b"
    r"|\u0435\u0441\u043b\u0438\b"
    r")|(?:\u5982\u679c|\u5047\u5982|\u5047\u8bbe|\u5018\u82e5|\u3082\u3057|\ub9cc\uc57d)",
    re.IGNORECASE,
)
# Conditions only beside "would be" and its like.
SOFT_CONDITION = re.compile(
    r"(?:^|[,:(])\W*(?:otherwise|without|but for|in that case|sonst|ansonsten|ohne|sinon|sans"
    r"|de lo contrario|sin|altrimenti|senza|caso contr\u00e1rio|sem)\b",
    re.IGNORECASE,
)
HYPOTHETICAL = re.compile(
    r"\b(?:would|could|might|w\u00e4re|w\u00fcrde|serait|ser\u00eda|sarebbe|seria)\b|['\u2019]d\b",
    re.IGNORECASE,
)
WOULD_BE = re.compile(
    r"(?:\b(?:would|could|might) (?:then )?(?:be|have been)|\b(?:w\u00e4re|serait|ser\u00eda"
    r"|sarebbe|seria))(?: labell?ed)?(?: as)?(?: (?:an?|the|eine?|une?|una?))?[*_\"'\s]*$",
    re.IGNORECASE,
)
SO = re.compile(
    r"\b(?:so|therefore|thus|hence|because|since|but|also|daher|deshalb|donc|mais)\b,?",
    re.IGNORECASE,
)
# A condition that follows: at once, or later in the sentence of a hypothetical statement.
IF_THEN = re.compile(
    r"^[\s*_\"'`)\],]*(?:only |but only |nur )?(?:if|unless|assuming|provided|had|were|wenn|falls"
    r"|sofern|si|se)\b(?! (?:i|we|you|one|ich|wir|man|any|so)\b)(?! not? mistaken)",
    re.IGNORECASE,
)
LATER_IF = re.compile(
    r"^(?:(?!\b(?:because|since|as|which|for|so|and|weil|da|denn)\b)[^;\n])*?"
    r"\b(?<!even )(?:if|unless|had (?:she|he|it|the|there)|wenn|falls)\b"
    r"(?! (?:i|we|you|one|ich|wir|man|any|so)\b)",
    re.IGNORECASE,
)


def is_no_answer(text: str, start: int, end: int, after: int | None = None) -> bool:
    """Say whether a statement in a text is denied, hypothetical, or of a second choice.

    Args:
        text: The reply.
        start: Where the statement starts, such as ``answer would be``.
        end: Where it ends.
        after: Where the named option ends, if that is known.
    """
    before = _sentence_before(text, start)
    if NOT_THE_ANSWER.search(before) or NOT_SAID.search(before):
        return True
    said = text[start:end]
    hypothetical = bool(HYPOTHETICAL.search(said))
    conditions = list(CONDITION.finditer(before))
    if hypothetical:
        conditions += SOFT_CONDITION.finditer(before)
    if any(not SO.search(before[found.end() :]) for found in conditions):
        return True
    if after is None:
        return False
    rest = _sentence_after(text, after)
    return bool(IF_THEN.match(rest) or (hypothetical and LATER_IF.match(rest)))


def is_no_label(text: str, start: int, end: int) -> bool:
    """Say whether a label in a text is another answer than the given one, or hypothetical.

    Conditions are the usual form of a judgement of two texts ("if she has fever, it follows:
    entailment"), so that they count only beside "would be".
    """
    before = _sentence_before(text, start)
    if NOT_THE_ANSWER.search(before):
        return True
    if not WOULD_BE.search(before):
        return False
    conditions = [*CONDITION.finditer(before), *SOFT_CONDITION.finditer(before)]
    held = any(not SO.search(before[found.end() :]) for found in conditions)
    return held or LATER_IF.match(_sentence_after(text, end)) is not None


def _sentence_before(text: str, start: int) -> str:
    window = text[max(0, start - WINDOW) : start]
    ends = [found.end() for found in SENTENCE.finditer(window)]
    return window[ends[-1] :] if ends else window


def _sentence_after(text: str, after: int) -> str:
    window = text[after : after + WINDOW]
    found = SENTENCE.search(window)
    return window[: found.start()] if found else window
