"""Tables in a terminal: aligned where they fit, folded where not, and complete at every width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragbench.report.terminal.columns import table_lines, wrapped

HEADER = ["model", "task", "arm", "accuracy", "95 % interval", "adjusted p"]
ROWS = [
    [model, task, arm, f"{i}0.0 %", "18.1 % to 33.4 %", f"0.0{i}"]
    for i, (model, task, arm) in enumerate(
        (model, task, arm)
        for model in ("base", "tuned")
        for task in ("icd", "hpo")
        for arm in ("closed-book", "bm25-3")
    )
]


def test_a_table_that_fits_is_aligned_with_numbers_to_the_right() -> None:
    lines = table_lines(["name", "n"], [["a", "5"], ["bcdef", "1,000"]], 80)
    assert lines == ["name       n", "a          5", "bcdef  1,000"]


def test_a_table_through_a_pipe_has_a_line_per_row() -> None:
    lines = table_lines(HEADER, ROWS)
    assert len(lines) == 1 + len(ROWS)
    assert lines[0].split("  ")[0] == "model"


def test_a_wide_table_has_its_leading_cells_over_its_rows() -> None:
    lines = table_lines(HEADER, ROWS, 34)
    assert lines[:7] == [
        "95 % interval: 18.1 % to 33.4 %",  # the same in all rows
        "",
        "model: base; task: icd",
        "                       adjusted",
        "arm          accuracy         p",
        "closed-book    00.0 %      0.00",
        "bm25-3         10.0 %      0.01",
    ]
    assert lines[7:10] == ["", "model: base; task: hpo", "closed-book    20.0 %      0.02"]


def test_columns_that_do_not_fit_come_in_parts_under_the_name_of_the_row() -> None:
    header = ["corpus", "documents", "passages", "licence"]
    rows = [["icd10cm", "47200", "47200", "public domain"], ["hpo", "19034", "19034", "HPO's own"]]
    assert table_lines(header, rows, 30) == [
        "corpus   documents  passages",
        "icd10cm      47200     47200",
        "hpo          19034     19034",
        "",
        "corpus   licence",
        "icd10cm  public domain",
        "hpo      HPO's own",
    ]


def test_a_cell_that_is_wider_than_the_terminal_makes_paragraphs() -> None:
    rows = [["a", "one two three four five six seven", "7"], ["b", "eight", "8"]]
    assert table_lines(["key", "text", "n"], rows, 24) == [
        "key: a",
        "  text one two three",
        "  four five six seven;",
        "  n 7",
        "key: b",
        "  text eight; n 8",
    ]


WORDS = st.text("abc 1", min_size=1, max_size=30).map(lambda text: " ".join(text.split()) or "x")


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            st.lists(WORDS, min_size=n, max_size=n),
            st.lists(st.lists(WORDS, min_size=n, max_size=n), max_size=6),
        )
    ),
    st.integers(20, 100),
)
def test_no_word_of_a_table_is_lost_and_no_line_is_too_wide(
    table: tuple[list[str], list[list[str]]], width: int
) -> None:
    header, rows = table
    lines = table_lines(header, rows, width)
    text = " ".join(lines)
    for word in " ".join([*header, *(cell for row in rows for cell in row)]).split():
        assert word in text
    for line in lines:  # only a word at the end may be wider
        assert len(line) <= width or len(line.split()[-1]) > 10


def test_the_last_column_is_broken_at_spaces_beside_the_others() -> None:
    rows = [["hpo", "terms of signs and symptoms"], ["digest", "c78a" * 8]]
    assert table_lines(["what", "value"], rows, 34) == [
        "what    value",
        "hpo     terms of signs and",
        "        symptoms",
        "digest  " + "c78a" * 8,  # one word, which is not broken
    ]


def test_a_text_is_wrapped_under_its_mark() -> None:
    assert wrapped("one two three four five", 20, "- ") == ["- one two three four", "  five"]
