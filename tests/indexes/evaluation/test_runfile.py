"""TREC runs and query files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import DataError
from ragbench.base.records import Hit, Query
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.evaluation.runfile import check_run_ids, read_queries, read_run, write_run

IDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn", "Z"]), min_size=1, max_size=8
).filter(lambda s: s.isprintable() and not any(c.isspace() for c in s))
SCORES = st.floats(-1e6, 1e6, width=32)
RUNS = st.dictionaries(IDS, st.lists(st.tuples(IDS, SCORES), max_size=6, unique_by=lambda p: p[0]))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@given(run=RUNS)
def test_a_run_reads_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, run: dict[str, list[tuple[str, float]]]
) -> None:
    """Falling scores come back bit for bit, others fall; queries without hits have no line."""
    path = tmp_path_factory.mktemp("run") / "run.trec"
    queries = [Query(identifier, "text") for identifier in run]
    hits = [[Hit(key, key, 0, score) for key, score in found] for found in run.values()]
    write_run(path, queries, hits, tag="bm25-small")
    back = read_run(path)
    assert list(back) == [query for query, found in run.items() if found]
    for query, found in back.items():
        assert [key for key, _ in found] == [key for key, _ in run[query]]
        given, written = ([np.float32(s) for _, s in some] for some in (run[query], found))
        assert all(a > b for a, b in pairwise(written))
        if all(a > b for a, b in pairwise(given)):
            assert written == given


def test_lines_have_trecs_six_columns(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "run.trec"
    hits = [[Hit("E11.9", "E11", 3, 2.5), Hit("E11.8", "E11", 4, 0.125)], []]
    write_run(path, [Query("q1", "diabetes"), Query("q2", "")], hits, tag="bm25")
    assert path.read_text() == "q1 Q0 E11.9 1 2.5 bm25\nq1 Q0 E11.8 2 0.125 bm25\n"


@given(
    scores=st.lists(st.sampled_from([0.0, 1.0, 1.00000001, 17.25]), min_size=2, max_size=12),
    grades=st.lists(st.integers(0, 3), min_size=12, max_size=12),
)
def test_trec_eval_sees_the_order_of_the_ranks(
    tmp_path_factory: pytest.TempPathFactory, scores: list[float], grades: list[int]
) -> None:
    """Tied, rising or equal only as float32: nDCG and RR by ir-measures are those of the ranks."""
    from ir_measures import RR, ScoredDoc, calc_aggregate, nDCG, read_trec_run

    ids = [f"d{number}" for number in range(len(scores))]
    path = tmp_path_factory.mktemp("run") / "run.trec"
    hits = [Hit(key, key, 0, score) for key, score in zip(ids, scores, strict=True)]
    write_run(path, [Query("q", "text")], [hits], tag="t")
    qrels = {"q": dict(zip(ids, grades, strict=False))}
    by_rank = [ScoredDoc("q", key, float(-rank)) for rank, key in enumerate(ids)]
    measures = [nDCG @ 10, RR @ 10]
    of_file = calc_aggregate(measures, qrels, list(read_trec_run(str(path))))
    assert of_file == calc_aggregate(measures, qrels, by_rank)


def test_hits_for_another_number_of_queries_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zip"):
        write_run(tmp_path / "run.trec", [Query("q1", "a"), Query("q2", "b")], [[]], tag="t")
    assert list(tmp_path.iterdir()) == []


def test_the_rank_column_is_the_order(tmp_path: Path) -> None:
    text = "q Q0 c 10 0.1 t\nq Q0 a 2 0.5 t\n\nq Q0 b 1 0.5 t\n"
    assert read_run(write(tmp_path / "run", text)) == {"q": [("b", 0.5), ("a", 0.5), ("c", 0.1)]}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("q Q0 a 1 0.5", "5 columns, not 6"),
        ("q Q0 a 1 0.5 my tag", "7 columns, not 6"),
        ("q Q0 a first 0.5 t", "rank 'first'"),
        ("q Q0 a 1.5 0.5 t", "rank '1.5'"),
        ("q Q0 a 1 high t", "score 'high'"),
        ("q Q0 a 1 nan t", "'nan' is not finite"),
        ("q Q0 a 1 -inf t", "'-inf' is not finite"),
        ("q Q0 ok 9 0.1 t", "'ok' is repeated under query 'q'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, what: str) -> None:
    path = write(tmp_path / "run.trec", f"q Q0 ok 1 0.5 t\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_run(path)
    assert what in caught.value.what
    assert caught.value.where == f"{path}:2"


def test_a_passage_may_stand_under_two_queries(tmp_path: Path) -> None:
    run = read_run(write(tmp_path / "run", "q1 Q0 a 1 2 t\nq2 Q0 a 1 1 t\n"))
    assert run == {"q1": [("a", 2.0)], "q2": [("a", 1.0)]}


def test_a_run_that_is_not_there_or_not_text_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path / "binary")


def test_equal_ranks_go_by_score_and_the_rank_counts_more_than_the_score(tmp_path: Path) -> None:
    text = "q Q0 b 1 0.1 t\nq Q0 z 1 0.2 t\nq Q0 y 2 9.0 t\nq Q0 a 2 9.0 t\nq Q0 x 2 9.5 t\n"
    (found,) = read_run(write(tmp_path / "run", text)).values()
    assert found == [("z", 0.2), ("b", 0.1), ("x", 9.5), ("a", 9.0), ("y", 9.0)]


def test_a_run_without_ranks_is_in_the_order_of_its_scores(tmp_path: Path) -> None:
    """As tools write it that leave ranks to trec_eval."""
    run = read_run(write(tmp_path / "run", "q Q0 a 0 -2 t\nq Q0 b 0 3e1 t\nq Q0 c 0 4 t\n"))
    assert run == {"q": [("b", 30.0), ("c", 4.0), ("a", -2.0)]}


def test_a_nul_in_a_run_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "run", "q Q0 a 1 1 t\nq\0r Q0 a 1 1 t\n")
    with pytest.raises(DataError, match="NUL") as caught:
        read_run(path)
    assert caught.value.where == f"{path}:2"


@given(order=st.permutations(range(6)))
def test_the_order_of_the_lines_does_not_count(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    lines = [f"q Q0 p{i} {1 + i // 2} {i // 2} t" for i in range(6)]
    path = tmp_path_factory.mktemp("run") / "run"
    run = read_run(write(path, "\n".join(lines[i] for i in order)))
    assert [passage for passage, _ in run["q"]] == [f"p{i}" for i in range(6)]


def test_a_header_is_named_as_one(tmp_path: Path) -> None:
    path = write(tmp_path / "run", "query-id Q0 doc-id rank score tag\nq Q0 a 1 0.5 t\n")
    with pytest.raises(DataError, match="rank 'rank'") as caught:
        read_run(path)
    assert caught.value.where == f"{path}:1"
    assert caught.value.fix == "a run has no header"


def test_gzip_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "run.gz", "wb") as handle:
        handle.write(b"\xef\xbb\xbfq Q0 a 1 0.5 t\r\n")
    assert read_run(tmp_path / "run.gz") == {"q": [("a", 0.5)]}
    (tmp_path / "torn.gz").write_bytes((tmp_path / "run.gz").read_bytes()[:20])
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path / "torn.gz")


def test_ids_that_the_corpus_lacks_are_counted_and_named(
    home: Path, corpus_of: Callable[[str, Mapping[str, str]], Corpus]
) -> None:
    corpus = corpus_of("small", {"a": "gout", "b": "fever"})
    check_run_ids({"q": [("a", 1.0), ("b", 0.5)], "r": []}, corpus)
    run = {"q": [("a", 1.0), ("zz", 0.5)], "r": [("yy", 1.0), ("zz", 0.1)]}
    with pytest.raises(DataError, match=r"2 of the 3 passage ids .*'small': yy, zz") as caught:
        check_run_ids(run, corpus)
    assert "look like: a, b" in caught.value.fix


@pytest.mark.parametrize("id_key", ["id", "_id", "qid"])
@pytest.mark.parametrize("text_key", ["question", "query", "text"])
def test_each_spelling_of_the_keys_is_read(tmp_path: Path, id_key: str, text_key: str) -> None:
    lines = [{id_key: "1", text_key: "gout?"}, {id_key: 2, text_key: "fièvre?", "more": []}]
    text = "\n".join(json.dumps(line) for line in lines)
    expected = [Query("1", "gout?"), Query("2", "fièvre?")]
    assert read_queries(write(tmp_path / "queries.jsonl", text)) == expected
    with gzip.open(tmp_path / "queries.jsonl.gz", "wt", encoding="utf-8") as handle:
        handle.write(text)
    assert read_queries(tmp_path / "queries.jsonl.gz") == expected


def test_the_first_spelling_that_is_there_counts(tmp_path: Path) -> None:
    line = '{"qid": "3", "_id": "2", "id": null, "text": "t", "query": "q"}'
    assert read_queries(write(tmp_path / "queries.jsonl", line)) == [Query("2", "q")]


def test_a_question_with_a_text_to_search_with_is_searched_by_it(tmp_path: Path) -> None:
    line = '{"id": "1", "question": "Which?", "query": "gout", "cluster": 7, "answer": "A"}'
    assert read_queries(write(tmp_path / "q.jsonl", line)) == [Query("1", "gout", "7")]


def test_chosen_fields_are_read_and_no_others(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", '{"id": "1", "nr": 7, "text": "t", "Frage": "Gicht?"}')
    assert read_queries(path, id_field="nr", text_field="Frage") == [Query("7", "Gicht?")]
    with pytest.raises(DataError, match="the line has no field 'frage'") as caught:
        read_queries(path, text_field="frage")
    assert caught.value.fix == "did you mean 'Frage'? known: Frage, id, nr, text"
    path = write(tmp_path / "q.jsonl", '{"id": "1", "text": ["t"]}')
    with pytest.raises(DataError, match="the field 'text' holds no text"):
        read_queries(path, text_field="text")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"id": "2", "text": "x", "cluster": [1]}', "'cluster' is neither text nor a whole"),
        ('{"text": "x"}', "none of the fields id, _id, qid"),
        ('{"id": "2"}', "none of the fields query, question, text"),
        ('{"id": "2", "text": ["x"]}', "none of the fields query, question, text"),
        ('{"id": true, "text": "x"}', "none of the fields id, _id, qid"),
        ('{"id": "", "text": "x"}', "'' is empty or has white space"),
        ('{"id": "a b", "text": "x"}', "'a b' is empty or has white space"),
        ('{"id": "a\\u00a0b", "text": "x"}', "white space"),
        ('{"id": "a\\u0000b", "text": "x"}', "control characters"),
        ('{"id": "2", "text"', "not JSON"),
        ('["2", "x"]', "not an object"),
    ],
)
def test_a_wrong_query_line_is_named(tmp_path: Path, line: str, what: str) -> None:
    path = write(tmp_path / "queries.jsonl", '{"id": "1", "text": "ok"}\n' + line)
    with pytest.raises(DataError) as caught:
        read_queries(path)
    assert what in caught.value.what
    assert caught.value.where == f"{path}:2"


def test_a_repeated_query_id_is_named_with_both_places(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", '{"id": 7, "text": "a"}\n\n{"qid": "7", "text": "b"}\n')
    with pytest.raises(DataError, match="'7' is repeated") as caught:
        read_queries(path)
    assert caught.value.where == f"{path}:1 and {path}:3"


def test_a_table_of_queries_is_read(tmp_path: Path) -> None:
    lines = 'id;question;A;cluster\n7;"Gicht; was?";x;p1\nq2;Fieber?;y;\n'
    expected = [Query("7", "Gicht; was?", "p1"), Query("q2", "Fieber?")]
    assert read_queries(write(tmp_path / "q.csv", lines)) == expected
    named = write(tmp_path / "named.csv", "nr,stem\n7,Gout?\n7,Fever?\n")
    with pytest.raises(DataError, match="none of the fields id, _id, qid") as caught:
        read_queries(named)
    assert caught.value.fix == "it has: nr, stem; --id-field NAME chooses one"
    with pytest.raises(DataError, match="'7' is repeated") as caught:
        read_queries(named, id_field="nr", text_field="stem")
    assert caught.value.where == f"{named}:2 and {named}:3"
    with pytest.raises(DataError, match="holds no query"):
        read_queries(write(tmp_path / "none.csv", "id,question\n"))


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_queries_is_a_data_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="holds no query"):
        read_queries(write(tmp_path / "q.jsonl", text))


def test_a_query_file_that_is_not_there_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_queries(tmp_path / "nowhere.jsonl")
