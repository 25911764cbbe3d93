"""Follow-up queries that a model writes in rounds, each round after a search with the one before.

After i-MedRAG, Xiong et al. 2024 (arXiv 2408.00727): a round sees the question and what earlier
rounds asked and found. The arm delivers what all queries and the question itself find, fused by
reciprocal ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ragbench.base.progress import say
from ragbench.base.records import Passage, Question
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.config.written import RoundsSpec
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import IndexPart, TaskPart
from ragbench.experiment.grid.sources import DEPTH, arms_of, readers_of, source_of
from ragbench.experiment.grid.written import Written
from ragbench.experiment.stages.arms import Context, Delivery, fetch, pack
from ragbench.experiment.stages.retrieve import search_once
from ragbench.experiment.writing.asking import Session, Writing, ask, records_of, writing_parts
from ragbench.experiment.writing.instructions import FOLLOW_UP, ROUND, STOP, user_text
from ragbench.experiment.writing.parsing import lines_of, texts_of
from ragbench.experiment.writing.texts import shown_options
from ragbench.indexes.built import IndexManifest
from ragbench.indexes.composite.fusion import rrf
from ragbench.runfolder.config import EACH, answers_name, round_name
from ragbench.runfolder.packed import RoundEntry, RoundsLine, write_rounds
from ragbench.runfolder.records import pair_id


def ask_in_rounds(
    grid: Grid, session: Session, manifests: Mapping[str, IndexManifest], written: Written
) -> None:
    """Let models ask in rounds; ``written`` gets their queries, and ``rounds/`` all that is found.

    Raises:
        RagbenchError: As ``asking.ask``.
    """
    every = list(_searches(grid, session, manifests))
    for number in range(1, max((one.spec.n for one in every), default=0) + 1):
        mine = [one for one in every if number <= one.spec.n and one.open]
        asked = [(one, one.round(number)) for one in mine]
        ask(grid, session, [writing for _, writing in asked])
        for one, writing in asked:
            one.read(writing, is_last=number == one.spec.n)
        answered = [(one, one.answering(number)) for one in mine if one.found and one.spec.answers]
        ask(grid, session, [writing for _, writing in answered])
        for one, writing in answered:
            one.read_answers(writing)
    for one in every:
        task = one.task.spec.name
        lines = one.lines()
        write_rounds(session.folder.rounds(task, one.arm.name, one.reader), lines)
        written.queries[task, one.arm.name, one.writer] = {x.question_id: x.queries for x in lines}
        stopped = sum(bool(line.stopped) for line in lines)
        if stopped:
            say(
                f"note: the rounds of {one.arm.name} by {one.writer} on {task} ended early for "
                f"{stopped:,} of {len(lines):,} questions, where nothing new was asked"
            )


def rounds_key(arm: str) -> str:
    """Return the key of the config that limits the replies of an arm's rounds."""
    return f"rounds.reply_limit of the arm {arm}"


def round_text(question: Question, spec: RoundsSpec, earlier: str = "") -> str:
    """Return the user turn of a round."""
    options = shown_options(question, spec)
    return user_text(ROUND, question.text, options, spec.queries, earlier=earlier)


def new_queries(text: str, before: set[str], n: int) -> tuple[tuple[str, ...], str]:
    r"""Return at most ``n`` queries of a reply that were not asked before, or why there is none.

    >>> new_queries("What is gout?\\nWhat is CROUP", {"what is gout"}, 2)
    (('What is CROUP',), '')
    >>> new_queries("NONE.", set(), 2), new_queries("What is gout", {"what is gout"}, 2)
    (((), 'done'), ((), 'repeated'))
    """
    lines = lines_of(text)
    stop = next((i for i, line in enumerate(lines) if plain(line) == STOP), len(lines))
    found: dict[str, str] = {}
    for line in lines[:stop]:
        if plain(line) not in before:
            found.setdefault(plain(line), line)
    if found:
        return tuple(found.values())[:n], ""
    return (), "empty" if not lines else "done" if not stop else "repeated"


def plain(query: str) -> str:
    """Return a query without case, spacing and closing marks, by which equal ones are found."""
    return " ".join(query.casefold().split()).rstrip(" ?.!")


@dataclass(slots=True)
class _Search:
    """The rounds of an arm and a task for one model, or for all of them.

    Attributes:
        task: The task.
        arm: The arm.
        spec: Its rounds.
        reader: The model that asks for itself; empty if one asks for all.
        writer: The model that asks.
        part: The index, as the final search names it.
        session: The session of writing.
        manifest: The index's manifest.
        corpus: Its corpus.
        context: Tokenizer and budget.
        turns: Rounds so far, by question.
        stopped: Why a question has no further round.
        rankings: Ids that the question and each query found, by question.
        found: Ids of each query of the present round, by its pair id.
        number: The present round.
    """

    task: TaskPart
    arm: ArmSpec
    spec: RoundsSpec
    reader: str
    writer: str
    part: IndexPart
    session: Session
    manifest: IndexManifest
    corpus: Corpus
    context: Context
    turns: dict[str, list[RoundEntry]] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    rankings: dict[str, list[list[str]]] = field(default_factory=dict)
    found: dict[str, list[str]] = field(default_factory=dict)
    number: int = 0

    @property
    def open(self) -> list[Question]:
        """Questions that have a further round."""
        return [q for q in self.task.questions if q.id not in self.stopped]

    def round(self, number: int) -> Writing:
        """Return the writing of a round."""
        self.number = number
        if number == 1 and not self.spec.answers:
            own = self._search(self.task.questions, "0")
            self.rankings = {q.id: [own.get(q.id, [])] for q in self.task.questions}
        prompts, shown = [], {}
        for question in self.open:
            prompts.append((question.id, round_text(question, self.spec, self._earlier(question))))
            if not self.spec.answers:
                fused = [name for name, _ in rrf(self.rankings[question.id])]
                shown[question.id] = self._packed(fused)
        limit = self.spec.reply_limit or ROUND.limit * self.spec.queries
        n = self.spec.queries
        parts = writing_parts(self.task, "rounds", ROUND, prompts, n=n, limit=limit)
        name = round_name(self.arm.name, number)
        return Writing(name, *parts, (self.writer,), shown, rounds_key(self.arm.name))

    def read(self, writing: Writing, *, is_last: bool) -> None:
        """Take the queries of a round, and search with them unless no round follows."""
        texts = texts_of(records_of(self.session, writing, self.writer).values())
        asked: list[Question] = []
        for question in self.open:
            turns = self.turns.setdefault(question.id, [])
            before = {plain(question.query), *(plain(q) for t in turns for q in t.queries)}
            queries, why = new_queries(texts[question.id], before, self.spec.queries)
            if why:
                self.stopped[question.id] = why
                continue
            turns.append(RoundEntry(queries=queries))
            asked += [
                replace(question, id=pair_id(question.id, i), text=query, query=query)
                for i, query in enumerate(queries, 1)
            ]
        self.found = {}
        if is_last or not asked:
            return
        self.found = self._search(asked, str(self.number))
        for name in list(self.turns):
            if name in self.stopped:
                continue
            turn = self.turns[name][-1]
            ids = [self.found.get(pair_id(name, i), []) for i, _ in enumerate(turn.queries, 1)]
            self.rankings.setdefault(name, []).extend(ids)
            first = tuple(tuple(found[: self.arm.asked]) for found in ids)
            self.turns[name][-1] = replace(turn, passages=first)

    def answering(self, number: int) -> Writing:
        """Return the answers to the queries of a round, each from its own passages."""
        prompts, shown = [], {}
        for question in self.open:
            for i, query in enumerate(self.turns[question.id][-1].queries, 1):
                name = pair_id(question.id, i)
                prompts.append((name, user_text(FOLLOW_UP, query, ())))
                shown[name] = self._packed(self.found.get(name, []))
        parts = writing_parts(self.task, "answers", FOLLOW_UP, prompts)
        return Writing(answers_name(self.arm.name, number), *parts, (self.writer,), shown)

    def read_answers(self, writing: Writing) -> None:
        """Take the answers to the queries of the present round."""
        texts = texts_of(records_of(self.session, writing, self.writer).values())
        for question in self.open:
            turn = self.turns[question.id][-1]
            names = (pair_id(question.id, i) for i, _ in enumerate(turn.queries, 1))
            answers = tuple(" ".join(texts[name].split()) for name in names)
            self.turns[question.id][-1] = replace(turn, answers=answers)

    def lines(self) -> list[RoundsLine]:
        """Return what was asked, question by question."""
        return [
            RoundsLine(
                question_id=q.id,
                by=self.writer,
                rounds=tuple(self.turns.get(q.id, ())),
                stopped=self.stopped.get(q.id, ""),
            )
            for q in self.task.questions
        ]

    def _search(self, questions: list[Question], suffix: str) -> dict[str, list[str]]:
        key = f"{self.part.key}~{suffix}"
        part = replace(self.part, key=key, queries="", writer="", is_fused=False, rounds=False)
        task = replace(self.task, questions=questions)
        depth = max(self.arm.asked, DEPTH)
        return search_once(task, part, depth, self.manifest, self.session.folder.written)

    def _earlier(self, question: Question) -> str:
        """Return what was asked before, with the answers if there are any."""
        lines = []
        for turn in self.turns.get(question.id, ()):
            for i, query in enumerate(turn.queries):
                lines.append(f"- {query}")
                if i < len(turn.answers):
                    lines.append(f"  Answer: {turn.answers[i] or '(none)'}")
        return "\n".join(["Asked before:", *lines]) if lines else ""

    def _packed(self, ids: list[str]) -> Delivery:
        passages: list[Passage] = [fetch(self.corpus, name) for name in ids[: self.arm.asked]]
        return pack(passages, self.context, order=self.arm.order)


def _searches(
    grid: Grid, session: Session, manifests: Mapping[str, IndexManifest]
) -> Iterator[_Search]:
    for task in grid.tasks:
        for arm in arms_of(grid.config, task):
            if arm.rounds is None:
                continue
            found = (source_of(grid.config, arm, task, m) for m in readers_of(grid.config, arm))
            # Models may share the rounds and still have a filter each.
            for part in dict.fromkeys(source.parts[0] for source in found if source is not None):
                yield _Search(
                    task=task,
                    arm=arm,
                    spec=arm.rounds,
                    reader=part.writer if arm.rounds.by == EACH else "",
                    writer=part.writer,
                    part=part,
                    session=session,
                    manifest=manifests[part.name],
                    corpus=open_corpus(part.corpus),
                    context=_context(grid, arm, task),
                )


def _context(grid: Grid, arm: ArmSpec, task: TaskPart) -> Context:
    """Return what packing needs."""
    return Context(
        task=task.spec.name,
        corpus=None,
        ranked={},
        gold={},
        like={},
        like_spec=None,
        count_tokens=grid.reference_model.count_tokens,
        budget_tokens=grid.config.budget(arm),
        seed=grid.config.seed,
    )
