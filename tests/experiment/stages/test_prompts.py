"""The template: an arm changes the passages and nothing else."""

from __future__ import annotations

from dataclasses import replace

from ragbench.base.records import Message, Passage, Question
from ragbench.experiment.stages.prompts import continuations, messages
from ragbench.tasks.task import TaskInfo

INFO = TaskInfo(instruction="Be brief.", default_corpus="c", licence="", data_use="open")
QUESTION = Question("q", "Which?", ("a", "b"), 0, "Which?")
PASSAGES = [Passage("1", "1", "One", "first"), Passage("2", "2", "", "second")]


def test_passages_stand_before_the_unchanged_question() -> None:
    without = messages(INFO, QUESTION, [], "options")
    given = messages(INFO, QUESTION, PASSAGES, "options")
    assert [m.role for m in without] == ["system", "user"]
    assert without[0] == given[0]
    assert without[1].content == "Which?"
    assert given[1].content == ("Reference passages:\n\n[1] One\nfirst\n\n[2]\nsecond\n\nWhich?")


def test_options_are_not_listed() -> None:
    question = Question("q", "Which?", ("alpha", "beta"), 0, "Which?")
    text = " ".join(m.content for m in messages(INFO, question, PASSAGES, "options"))
    assert "alpha" not in text
    assert "beta" not in text


def test_letters_and_generate_share_one_prompt_that_lists_the_options() -> None:
    question = Question("q", "Which?", ("alpha", "beta"), 0, "Which?")
    listed = messages(INFO, question, PASSAGES, "letters")
    assert listed == messages(INFO, question, PASSAGES, "generate")
    plain = messages(INFO, question, PASSAGES, "options")
    addition = "\n\nA. alpha\nB. beta\n\nReply with the letter of the right option."
    assert listed[0] == plain[0]
    assert listed[1].content == plain[1].content + addition


def test_what_is_scored_as_the_reply() -> None:
    question = Question("q", "Which?", ("alpha", "beta"), 0, "Which?")
    assert continuations(question, "options") == ("alpha", "beta")
    assert continuations(question, "letters") == ("A", "B")


def test_examples_are_turns_before_the_question_in_the_scored_form() -> None:
    example = Question("e", "Why?", ("x", "y"), 1, "Why?")
    info = replace(INFO, examples=(example,))
    letters = messages(info, QUESTION, PASSAGES, "letters")
    assert [m.role for m in letters] == ["system", "user", "assistant", "user"]
    assert letters[1].content.startswith("Why?\n\nA. x\nB. y")
    assert letters[2].content == "B"
    assert letters[3].content.startswith("Reference passages:")
    assert messages(info, QUESTION, [], "options")[2].content == "y"


def test_labels_and_texts_list_nothing_when_they_generate() -> None:
    label = replace(INFO, answers="label")
    assert messages(label, QUESTION, [], "generate")[-1].content == "Which?"
    assert "A. a" in messages(label, QUESTION, [], "letters")[-1].content
    question = Question("q", "Sum up.", (), -1, "Sum up.", reference="short")
    text = replace(INFO, answers="text", cue="Question: ", examples=(question,))
    turns = messages(text, question, [], "generate")
    assert turns[2].content == "Question: short"
    assert turns[-1] == Message("assistant", "Question: ")


def test_a_task_may_close_its_options_otherwise() -> None:
    info = replace(INFO, rule="Write JSON.")
    assert messages(info, QUESTION, [], "generate")[-1].content.endswith("B. b\n\nWrite JSON.")
