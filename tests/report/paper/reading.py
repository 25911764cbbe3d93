"""What LaTeX would refuse in a table, and texts that attack it."""

from __future__ import annotations

import re

# Of LaTeX's kernel, in its own fonts; \textquotedbl, for one, needs another encoding.
COMMANDS = set(
    "textasciitilde textasciicircum textbackslash textless textgreater textbar textasciigrave "
    "textendash textemdash dots ss ae AE oe OE o O l L i j S copyright ensuremath c r v u H "
    "pm times div cdot circ leq geq neq approx infty mu leftarrow uparrow rightarrow downarrow "
    "alpha beta Delta "
    # of the tables themselves
    "raggedright raggedleft hspace allowbreak scriptsize itshape multicolumn columnwidth "
    "tabularnewline midrule addlinespace".split()
)
HOSTILE = r'50 % & $x_1$ #1 {a} ~b ^c \input{/etc/passwd} <d> |e| "f"'


def check_latex(text: str, columns: int, rows: int) -> None:
    """Refuse what LaTeX would: open braces or environments, bare specials, rows of other widths."""
    assert text.isascii()
    depth = 0
    for before, sign in re.findall(r"(\\?)([{}])", text.replace(r"\\", "")):
        depth += 0 if before else {"{": 1, "}": -1}[sign]
        assert depth >= 0
    assert depth == 0
    assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text)[::-1]
    body = text.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if line.endswith(r" \tabularnewline")]
    assert len(lines) == rows + 1
    for line in lines:
        assert len(re.findall(r"(?<!\\)&", line)) == columns - 1
        assert not re.search(r"(?<!\\)[%$#_]", line)
        assert not re.search(r"(?<!\\)[\"^]|[<>|]", line)
        # A bracket or star would be an option of the command before.
        assert not re.search(r"\\\\\s*[\[*]", line)
        assert not re.match(r"[\[*]", line)
        assert set(re.findall(r"\\([a-zA-Z]+)", line)) <= COMMANDS
