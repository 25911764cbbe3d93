"""The methods of imported runs: what the files say, and what ragbench does not know."""

from __future__ import annotations

from ragbench.analysis.load import Run

FORMATS = {
    "mirage": "in the format of MIRAGE's replies",
    "lm-eval": "in sample logs of the lm-evaluation-harness",
}
# What a format leaves unknown; an absent one leaves all of it.
UNKNOWN = {
    "lm-eval": "how the model was run and decoded, which passages the prompts contain and how they "
    "were chosen",
}
ALL_UNKNOWN = (
    "the prompts, how the model was run and decoded, which passages the prompts contained and how "
    "they were chosen"
)
READERS = {
    "option": "by the option that a reply names, by letter or text; a reply that names none is "
    "counted as unparsed, refused or truncated",
    "text": "as the reply itself, without its reasoning trace",
    "mirage": "by the rules of MIRAGE's evaluation, which assume an answer where they find none; "
    "assumed answers are counted apart",
}


def imported_methods(run: Run) -> str:
    """Return sentences on where an imported run's answers come from and how they were read."""
    identity = run.about.identity
    files = ", ".join(
        f"{name} (SHA-256 {digest[:16]})" for name, digest in (identity.imported_from or {}).items()
    )
    form = f", {FORMATS[identity.imported_format]}" if identity.imported_format in FORMATS else ""
    unknown = UNKNOWN.get(identity.imported_format or "", ALL_UNKNOWN)
    return " ".join(
        [
            f"The answers were made elsewhere and imported{form}: {files}.",
            *_read(run),
            f"ragbench does not know {unknown}; arms have the names that the import gave them, and "
            "may differ in more than their passages.",
        ]
    )


def _read(run: Run) -> list[str]:
    """Return a sentence per way in which answers were read, with its tasks if there are several."""
    ways: dict[str, list[str]] = {}
    for task in run.members("tasks"):
        facts = run.facts(task)
        if facts.scoring == "generate":
            how = READERS.get(facts.reader, f"by the reader {facts.reader}")
            text = f"ragbench read the imported replies{{}} in the mode {run.config.mode} {how}."
        else:
            best = "sum" if facts.metrics[0] == "accuracy_sum" else "value per character"
            text = (
                "The answer{} is the option whose imported log-likelihood has the highest "
                f"{best}; ties go to the first."
            )
        ways.setdefault(text, []).append(task)
    if len(ways) == 1:
        return [text.format("") for text in ways]
    return [text.format(f" of {', '.join(tasks)}") for text, tasks in ways.items()]
