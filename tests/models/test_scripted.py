"""The model without weights: its table, its rules, and what it does on purpose."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.errors import BackendError, DataError, PrerequisiteError, UsageError
from ragbench.base.files import sha256_text
from ragbench.base.records import Message, Passage, Question
from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.run import Finished, run_experiment
from ragbench.experiment.stages import prompts
from ragbench.models.scripted import HEADING, ScriptedModel, ScriptedOptions
from ragbench.models.spec import ModelSpec
from ragbench.runfolder.records import read_records
from ragbench.tasks.replies.answers import read_reply
from ragbench.tasks.task import TaskInfo
from tests.conftest import make_mixed_home

INFO = TaskInfo(instruction="Answer.", default_corpus="", licence="", data_use="open")
QUESTION = Question("q", "Which part causes scurvy?", ("iron", "vitamin C", "zinc"), 1, "scurvy")
PASSAGES = [
    Passage("a", "a", "Anaemia", "It comes from little iron in the food."),
    Passage("b", "b", "Scurvy", "A part of vitamin C causes scurvy."),
]


def make(**keys: Any) -> ScriptedModel:
    entry = {"name": "m", "backend": "scripted"}
    return ScriptedModel(ModelSpec.model_validate(entry | keys))


def prompt_of(model: ScriptedModel, scoring: Any = "letters", passages: Any = ()) -> str:
    return model.render(prompts.messages(INFO, QUESTION, passages, scoring))


def best(model: ScriptedModel, prompt: str, options: tuple[str, ...]) -> str:
    scores = model.score_options(prompt, options).log_likelihoods
    return options[scores.index(max(scores))]


def test_prompts_of_both_forms() -> None:
    turns = [Message("system", "S"), Message("user", "U <|end|>"), Message("assistant", "The")]
    chat = "<|system|>\nS<|end|>\n<|user|>\nU < |end|><|end|>\n<|assistant|>\n"
    assert make().render(turns) == chat + "The"
    assert make(format="chat").render(turns[:2]) == chat
    assert make(format="plain").render(turns) == "S\n\nU < |end|>\n\nThe"
    assert make(format="plain").render(turns[:2]) == "S\n\nU < |end|>\n\nAnswer:"
    assert [make(format=f).continuation("x") for f in ("chat", "plain")] == ["x", " x"]


def test_the_heading_is_that_of_the_prompts() -> None:
    assert f"{prompts.HEADING}\n\n" == HEADING


def test_words_and_marks_are_tokens() -> None:
    # A, part, of, vitamin, C, (, E54, ) and the full stop
    assert make().count_tokens("A part of  vitamin C (E54).\n") == 9
    reply = make(replies=[{"contains": "p", "reply": "One, two three."}]).generate("p", limit=3)
    assert (reply.text, reply.tokens, reply.finish) == ("One, two", 3, "length")
    whole = make(replies=[{"contains": "p", "reply": "One, two three."}]).generate("p", limit=5)
    assert (whole.text, whole.tokens, whole.finish) == ("One, two three.", 5, "stop")


@pytest.mark.parametrize("form", ["chat", "plain"])
@pytest.mark.parametrize("order", [1, -1])
def test_overlap_reads_the_passages(form: str, order: int) -> None:
    model = make(rule="overlap", format=form)
    given = PASSAGES[::order]
    for seed in range(20):
        model = make(rule="overlap", format=form, seed=seed)
        letters = prompt_of(model, "letters", given)
        assert best(model, letters, ("A", "B", "C")) == "B"
        shown = prompt_of(model, "options", given)
        scores = model.score_options(shown, QUESTION.options)
        per_character = [
            value / len(option)
            for value, option in zip(scores.log_likelihoods, QUESTION.options, strict=True)
        ]
        assert per_character.index(max(per_character)) == 1
        assert model.generate(letters, limit=9).text == "The answer is B."


def test_without_passages_it_guesses() -> None:
    picks = set()
    for seed in range(30):
        model = make(rule="overlap", seed=seed)
        picks.add(best(model, prompt_of(model), ("A", "B", "C")))
    assert picks == {"A", "B", "C"}


def test_chance_is_even_and_repeats() -> None:
    model, again, other = make(seed=1), make(seed=1), make(seed=2)
    asked = [f"question {number}" for number in range(3000)]
    picks = [best(model, prompt, ("A", "B", "C")) for prompt in asked]
    assert picks == [best(again, prompt, ("A", "B", "C")) for prompt in asked]
    assert picks != [best(other, prompt, ("A", "B", "C")) for prompt in asked]
    counts = [picks.count(letter) for letter in "ABC"]
    assert all(abs(count - 1000) < 5 * 26 for count in counts)  # 26 = sqrt(3000 / 3 * 2 / 3)
    assert all(v < 0 for v in model.score_options("p", ("A", "bb")).log_likelihoods)


def test_a_letter_is_always_the_same() -> None:
    model = make(rule="letter", letter="C")
    for number in range(50):
        assert best(model, f"p{number}", ("A", "B", "C", "D")) == "C"
    assert best(model, "p", ("yes", "no")) == "no"
    assert model.generate("p", limit=9).text == "The answer is C."


@pytest.mark.parametrize("form", ["chat", "plain"])
def test_replies_are_read_by_the_readers(form: str) -> None:
    """A few-shot example's list comes first in a prompt, and is not what is asked."""
    example = Question("e", "Which?", ("one", "two", "three", "four", "five"), 0, "")
    info = TaskInfo("Answer.", "", "", "open", examples=(example,))
    for seed in range(20):
        model = make(seed=seed, format=form)
        prompt = model.render(prompts.messages(info, QUESTION, PASSAGES, "generate"))
        text = model.generate(prompt, limit=20).text
        assert re.fullmatch(r"The answer is [ABC]\.", text)
        found = read_reply(text, QUESTION.options, finish="stop")
        assert found.pick == "ABC".index(text[-2])


def test_without_a_list_it_says_a_sentence() -> None:
    turns = [Message("user", f"{HEADING}[1] Scurvy\nIt is rare. A part of C.\n\nWhich part?")]
    model = make(rule="overlap")
    assert model.generate(model.render(turns), limit=20).text == "A part of C."
    guess = make(seed=3)
    assert guess.generate(guess.render(turns), limit=20).text == "Which part?"


def test_the_table_comes_before_the_rule() -> None:
    model = make(
        rule="letter",
        replies=[
            {"contains": "scurvy", "log_likelihoods": [-2, -1.5]},
            {"matches": "sc.rvy$", "reply": "Iron."},
            {"prompt": sha256_text("exact"), "reply": "Zinc.", "log_likelihoods": [-1, 0]},
        ],
    )
    assert model.score_options("on scurvy", ("a", "b")).log_likelihoods == (-2.0, -1.5)
    assert model.generate("on scurvy", limit=9).text == "Iron."
    assert model.generate("on scurvy too", limit=9).text == "The answer is A."
    assert model.generate("exact", limit=9).text == "Zinc."
    assert model.score_options("exact", ("a", "b")).log_likelihoods == (-1.0, 0.0)
    with pytest.raises(BackendError, match="2 log-likelihoods for 3 options"):
        model.score_options("on scurvy", ("a", "b", "c"))


def test_the_table_may_be_a_file(home: Path) -> None:
    path = home / "replies.jsonl"
    path.write_text('{"contains": "gout", "reply": "A."}\n', encoding="utf-8")
    model = make(replies="replies.jsonl")
    assert model.generate("gout", limit=9).text == "A."
    inline = make(replies=[{"contains": "gout", "reply": "A."}])
    assert model.digest() == inline.digest()
    with pytest.raises(PrerequisiteError, match="is missing"):
        make(replies="other.jsonl")
    path.write_text('{"contains": "a", "reply": "b"}\n{"contains": "gout"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="`log_likelihoods` or both") as caught:
        make(replies="replies.jsonl")
    assert caught.value.where == f"{path}:2"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"replies": [{"reply": "x"}]}, "one of `prompt`, `contains`"),
        ({"replies": [{"contains": "x", "matches": "x", "reply": "x"}]}, "one of `prompt`"),
        ({"replies": [{"matches": "(", "reply": "x"}]}, "regular expression is invalid"),
        ({"replies": [{"contains": "x", "log_likelihoods": [0.5]}]}, "at most 0"),
        ({"replies": [{"contains": "x", "log_likelihoods": [float("nan")]}]}, "at most 0"),
        ({"fail_on": "("}, "regular expression is invalid"),
        ({"rule": "letter", "letter": "AB"}, "letter"),
        ({"rule": "luck"}, "rule"),
        ({"path": "x"}, "`scripted` has no key 'path'"),
    ],
)
def test_keys_are_checked(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make(**keys)


def test_identity_covers_what_changes_answers() -> None:
    same = [
        make(),
        make(name="n"),
        make(letter="B"),
        make(delay_s=1, fail_every=2, fail_on="x", calls="c", concurrency=3, context=9),
    ]
    assert len({model.digest() for model in same}) == 1
    changed = [
        make(seed=1),
        make(rule="overlap"),
        make(rule="letter"),
        make(rule="letter", letter="B"),
        make(format="plain"),
        make(replies=[{"contains": "x", "reply": "y"}]),
    ]
    digests = {model.digest() for model in [same[0], *changed]}
    assert len(digests) == 1 + len(changed)
    assert make().facts().digest == make().digest()
    assert make().sends_to(make().options) == ()


def test_it_fails_on_purpose_and_counts(home: Path) -> None:
    model = make(fail_every=3, fail_on="bad", calls="log/calls.jsonl")
    answers = model.generate_batch(["a", "bad", "c", "d"], limit=5)
    assert [isinstance(answer, BackendError) for answer in answers] == [False, True, True, False]
    model.score_options("e", ("x",))
    assert model.calls == 5
    lines = (home / "log" / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["call"] for line in lines] == ["generate"] * 4 + ["score"]
    assert json.loads(lines[0])["prompt"] == sha256_text("a")


def test_it_waits() -> None:
    assert make(delay_s=0.05).generate("p", limit=5).elapsed_s >= 0.05


SPECS = """\
models:
  - {name: general, backend: scripted, seed: 1, calls: calls.jsonl}
  - {name: bio, backend: scripted, rule: overlap, kind: biomedical, base: general, format: plain}
"""


def run(home: Path, *overrides: str) -> Finished:
    return run_experiment(*load_config(str(home / "mixed.yaml"), overrides))


@pytest.fixture
def pair(home: Path) -> Path:
    """A home with the mixed config over a scripted pair and lexical arms."""
    folder = make_mixed_home(home)
    text = (folder / "mixed.yaml").read_text(encoding="utf-8")
    text = re.sub(r"models:\n.*\n", SPECS, text)
    text = text.replace("  dense: {recipe: minilm-flat}\n", "")
    text = re.sub(r".*fuse:.*\n", "", text)
    (folder / "mixed.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_plan_shows_it(pair: Path) -> None:
    plan = make_plan(OfflineGrid(*load_config(str(pair / "mixed.yaml"))))
    assert plan.missing == []
    assert [(e.weight_bytes, e.device) for e in plan.estimates] == [(0, "no weights")] * 2
    assert any("bio has plain prompts" in note for note in plan.notes)
    assert any(sample.prompt.startswith("<|system|>\n") for sample in plan.samples)


def test_a_run_goes_on_where_it_failed(pair: Path) -> None:
    """17 cells of six questions and two models; each distinct prompt of a task is asked once."""
    plan = make_plan(OfflineGrid(*load_config(str(pair / "mixed.yaml"))))
    n_records = sum(n or 0 for model, *_, n in plan.cells if model == "general")
    first = run(pair, "models.general.fail_every=5")
    paths = [p for p in first.folder.all_records() if p.name.startswith("general+")]
    found = [record for path in paths for record in read_records(path)]
    prompts = {(record.task, record.prompt) for record in found}
    failed = {(record.task, record.prompt) for record in found if record.error}
    assert len(found) == n_records > len(prompts)
    assert len(failed) == len(prompts) // 5 > 0
    assert first.errors == sum((record.task, record.prompt) in failed for record in found)
    calls = pair / "calls.jsonl"
    assert len(calls.read_text(encoding="utf-8").splitlines()) == len(prompts)
    second = run(pair, "models.general.fail_every=null", "models.bio.concurrency=3")
    assert second.errors == 0
    assert len(calls.read_text(encoding="utf-8").splitlines()) == len(prompts) + len(failed)
    run(pair)
    assert len(calls.read_text(encoding="utf-8").splitlines()) == len(prompts) + len(failed)
    with pytest.raises(UsageError, match="another config"):
        run(pair, "models.general.seed=2")


def test_retrieval_helps_the_one_that_reads(pair: Path) -> None:
    folder = run(pair).folder
    picks = {}
    for arm in ("closed-book", "oracle-bm25-2"):
        records = list(read_records(folder.records("bio", "facts", arm)))
        questions = {
            q["id"]: q["answer"]
            for q in map(json.loads, folder.questions("facts").read_text("utf-8").splitlines())
        }
        picks[arm] = sum(
            found.index(max(found)) == questions[record.question_id]
            for record in records
            if (found := record.log_likelihoods)
        )
    assert picks["oracle-bm25-2"] == 6
    assert picks["closed-book"] < 6


@pytest.mark.parametrize(
    "path", ["/elsewhere/calls.jsonl", "../calls.jsonl", "a/../../b", "~/.profile"]
)
def test_the_log_of_calls_stays_in_the_home_folder(path: str) -> None:
    with pytest.raises(ValidationError, match="stays inside it"):
        ScriptedOptions(calls=path)
    assert ScriptedOptions(calls="logs/calls.jsonl").calls == "logs/calls.jsonl"
