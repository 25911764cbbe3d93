"""The forms in which a written reply states, hedges or denies an option, as patterns.

Each is as narrow as a form that states an answer; a reply that fits none is not read.
"""

from __future__ import annotations

import re

FIELD = re.compile(
    r"""["'](?:(?:final|correct|best|right|selected|chosen)[ _]?)?(?:answer|choice|option)"""
    r"""(?:[ _]?(?:choice|letter|option))?["']\s*:\s*"""
    r"""(?:"([^"\n]{0,2000})"|'([^'\n]{0,2000})'|\[([^\]\n]{0,2000})\]|([A-Z])(?=\s*[,}\n]|\s*$))""",
    re.IGNORECASE,
)
REFUSAL = re.compile(
    r"^\W*(?:i['\u2019]?m (?:very )?sorry|sorry\b|i apologi[sz]e|i can(?:no|['\u2019])t"
    r"|i(?: a|['\u2019])m (?:unable|not able)|as an ai\b|i (?:must|have to) decline"
    r"|i won['\u2019]t|the response was filtered|es tut mir leid|ich kann (?:ihnen )?(?:dabei|das)"
    r"|lo siento|no puedo\b|je suis d\u00e9sol\u00e9|d\u00e9sol\u00e9|je ne peux pas"
    r"|\u62b1\u6b49|\u5bf9\u4e0d\u8d77|\u6211\u65e0\u6cd5|\u6211\u4e0d\u80fd)",
    re.IGNORECASE,
)
ADJECTIVE = r"(?:final |correct |best |right |most likely |most appropriate )?"
IS = (
    r"(?: is| would be| must be| should be| will be| has to be| (?:appears|seems) to be"
    r"|:| =| [-\u2013\u2014]+>?| \u2192)+:?"
)
SURELY = r"(?: (?:most likely|most probably|likely|probably|clearly|definitely|therefore|thus)\b)?"
PRONOUN = r"(?<![\w'\u2019])I(?:['\u2019]?(?:d|ll)| would| will)?"
# What an answer follows, in the languages of common replies.
ANCHOR = re.compile(
    "(?:"
    rf"\b{ADJECTIVE}(?:answer|option|choice|ans\.?|solution)(?: choice| option)?[*_]*"
    rf"(?: to (?:the|this) question)?[*_]*{IS}{SURELY}"
    rf"|{PRONOUN}(?: probably| definitely)? (?:choose|pick|select|go with|opt for|say)\b"
    r"|<(?:final_)?answer>"
    r"|\b(?:antwort|l\u00f6sung)[*_]*(?: ist| lautet| w\u00e4re|:)+(?: also)?|\brichtig ist\b"
    r"|\br\u00e9ponse(?: correcte| exacte)?[*_]*(?: est| serait|\s?:)+"
    r"|\b(?:respuesta|opci\u00f3n)(?: correcta)?[*_]*(?: es| ser\u00eda|:)+"
    r"|\brisposta(?: corretta| giusta)?[*_]*(?: \u00e8|:)+"
    r"|\b(?:resposta|alternativa)(?: correta| certa)?[*_]*(?: \u00e9|:)+"
    r"|\b\u043e\u0442\u0432\u0435\u0442[*_]*(?:\s?[:\u2014-])+"
    r"|(?:\u7b54\u6848|\u6b63\u786e\u9009\u9879)[*_]*(?:\u5e94\u8be5\u662f|\u5e94\u4e3a"
    r"|\u662f|\u4e3a|\u9009|:)+"
    r"|(?<![\u4e0d\u80fd])\u9009(?:\u62e9)?(?!\u9879|\u62e9)"
    r"|(?:\u7b54\u3048|\u6b63\u89e3)(?:\u306f|:)+|\uc815\ub2f5(?:\uc740|:)+"
    ")",
    re.IGNORECASE,
)
BOXED = re.compile(r"\\f?boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
FONT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|rm|bf)\s*\{([^{}]*)\}")
MARKUP = r"[\s*_\"'`({\[$\\]*"
# No letter or digit of an alphabet that writes words apart may follow an option's letter.
END = r"(?![A-Za-z0-9_\u00c0-\u024f'\u2019])"
# A letter as it may stand after an anchor, with markup and a word such as "option" before it.
AFTER = re.compile(
    rf"^{MARKUP}(?:(?:the |la |die |el |l['\u2019])?(?:(?:option|choice|letter|opci\u00f3n|lettre"
    rf"|letra|antwort)\b[\s*_:]*)?)?{MARKUP}([A-Z]){END}",
    re.IGNORECASE,
)
# What may follow a letter that is an answer and not the first word of something else.
GOES_ON = re.compile(
    r"^ (?:because|since|as|due|given|for|which|based|but|although|though|rather|instead"
    r"|\(|-|\u2013|\u2014|=|weil|da|denn|car|parce|puisque|porque|ya)(?:\b|(?<=\W))",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"^[\s.!)\]}*_\"'`$\\]*$")
OPENING = r"^[\s*_\"'`(\[>#$\\=\u2022\u2192-]*(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer) )?[(*_\[]*"
LEADING = re.compile(
    OPENING + r"([A-Za-z])(?:[\s*_\"'`)\]]*$|[*_\"'`)\]]*[.:)\]][*_\"'`]*(?=\s|$)|[)\]])"
)
LETTER_LINE = re.compile(OPENING + r"([A-Za-z])[\s*_\"'`)\]}.!$\\\u3002]*$")
AND = (
    r"(?:[,/;+&\u3001-]|\bor\b|\band\b|\boder\b|\bund\b|\bou\b|\bet\b|\bo\b|\by\b|\be\b"
    r"|\u6216|\u548c|\u53ca)"
)
HEDGE = re.compile(
    rf"^[*_\"'`)\]}}]*\s*\(?(?:{AND}\s*)+(?:(?:option|choice|possibly|maybe|perhaps|also|even)\s)*"
    rf"{MARKUP}([A-Z]){END}"
)
DENIED = re.compile(
    r"^[\s*_\"'`).\]:-]*(?:(?:is|are|was|would be|can be|seems) )?(?:also |clearly |definitely )?"
    r"(?:not\b|(?:incorrect|wrong|false)\b(?! (?:answer|option|choice))|unlikely"
    r"|less likely|excluded|ruled out|cannot|can['\u2019]t"
    r"|isn['\u2019]t|out\b)",
    re.IGNORECASE,
)
# The rest of a name: "C. difficile" is a species.
SPECIES = re.compile(r"^[*_]*\. [a-z]")
NONE_OF = re.compile(r"^[\s*_.):-]*(?:none|all|both|neither) of (?:the|these)\b", re.IGNORECASE)
# A letter set off within a line, as in a list of options; an option with its letter behind it.
MARKED = re.compile(r"(?<![\w.])\(?([A-Z])[.)](?=\s|$)")
WITH_LETTER = re.compile(r"^(.+?)[\s*_]*[(\[](?:[Oo]ption |[Cc]hoice )?([A-Z])[)\]][.*_\s]*$")
# "B is the correct answer", anywhere; "option B is correct" as a line of its own.
REVERSED = re.compile(
    rf"(?<![\w'\u2019.])[(*_\"]*([A-Z]){END}[)*_.:\"]*(?: is| ist| est| es)"
    r"(?: therefore| thus| clearly)? (?:the |die |la )?(?:single )?(?:correct|right|best"
    r"|most likely|most appropriate|richtige|bonne)[*_]* (?i:answer|option|choice|antwort"
    r"|r\u00e9ponse)\b"
)
IS_RIGHT = re.compile(
    rf"^[\s*_]*(?:(?:therefore|thus|so|hence),? )?(?:option|choice|answer)? ?[(*_]*([A-Z]){END}"
    r"[)*_]*(?: is| ist| est| es)(?: therefore| thus| clearly)? (?:correct|right|richtig|correcta?)"
    r"[\s*_]*(?:[.,!:;]|$|because\b|since\b|as\b)",
    re.IGNORECASE,
)
NEXT_QUESTION = re.compile(r"\n\s*(?:\*\*)?(?:Question|Q)\s*\d*\s*[:.]")
EDGES = " \t\r\n.,;:!*_\"'`$\u3002"
MARKS = EDGES + "()[]{}<>-\u2013\u2014\u2192="


MAX_PARSED = 100_000  # characters of a reply that are read: the first half and the last half
MAX_MARKS = 64  # signs in a row that are read; the time of most patterns grows with their square
_MARKS = re.compile(rf"[\W_]{{{MAX_MARKS + 1},}}")


def bounded(text: str) -> str:
    """Return a reply of a length that the patterns can search.

    Of a longer reply the first and the last half of ``MAX_PARSED`` characters are kept, and of
    more than ``MAX_MARKS`` signs in a row the first and the last half of that number.
    """
    if len(text) > MAX_PARSED:
        text = f"{text[: MAX_PARSED // 2]}\n{text[-MAX_PARSED // 2 :]}"
    half = MAX_MARKS // 2
    return _MARKS.sub(lambda found: found[0][:half] + found[0][-half:], text)


def plain(text: str) -> str:
    """Return a reply with full-width signs as ASCII and without signs that have no width."""
    return text.translate(_PLAIN)


_PLAIN: dict[int, int | None] = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_PLAIN |= dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
