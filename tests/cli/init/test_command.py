"""``ragbench init`` as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from ragbench.base.errors import RagbenchError
from ragbench.cli.main import cli
from ragbench.experiment.config.config import load_config
from ragbench.tasks.mcq import McqOptions
from tests.cli.init.data import (
    DISEASES,
    write_csv,
    write_lines,
    write_model,
    write_notes,
    write_questions,
)


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home that is the current folder, without the demonstration's models."""
    monkeypatch.chdir(home)
    monkeypatch.setattr("ragbench.cli.init.models.DEMO_PACKAGES", ("no_such_package",))
    return home


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["init", *arguments])


def refused(*arguments: str) -> RagbenchError:
    error = call(*arguments).exception
    assert isinstance(error, RagbenchError)
    return error


def test_from_csv_files_to_a_verdict(here: Path) -> None:
    write_notes(here / "notes.csv")
    write_questions(here / "quiz.csv", gold=True)
    done = call()
    assert done.exit_code == 0, done.exception
    assert "questions  quiz.csv: 20, multiple choice" in done.stdout
    assert "corpus     notes (notes.csv: 20 documents)" in done.stdout
    assert "wrote      quiz.yaml, corpora/notes.yaml" in done.stdout
    assert "next:      ragbench plan quiz.yaml" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    planned = CliRunner().invoke(cli, ["plan", "quiz"])  # a config of the current folder
    assert planned.exit_code == 0, planned.exception
    assert planned.stdout.startswith("quiz: 1 model, 1 task, 4 arms, 80 prompts")
    ran = CliRunner().invoke(cli, ["run", "quiz.yaml"])
    assert ran.exit_code == 0, ran.exception
    # The scripted model picks the option that a passage supports: the note names the disease.
    assert ran.stdout.startswith("Retrieval helped on quiz.")
    assert (here / "runs" / "quiz" / "report.html").is_file()
    effects = (here / "runs" / "quiz" / "effects.csv").read_text(encoding="utf-8")
    assert "placebo-corrected gain" in effects
    assert "headroom with gold delivered" in effects


def test_the_config_says_why(here: Path) -> None:
    write_notes(here / "notes.csv")
    write_questions(here / "quiz.csv")
    assert call().exit_code == 0
    text = (here / "quiz.yaml").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 100
    config = yaml.safe_load(text)
    assert config["arms"] == [
        "closed-book",
        {"name": "bm25-5", "retriever": "bm25", "k": 5},
        {"name": "random-5", "control": "random", "like": "bm25-5"},
    ]
    assert config["tasks"][0]["options"]["columns"] == {
        "question": "Question",
        "options": ["A", "B", "C", "D"],
        "answer": "Correct answer",
    }
    # Every arm, and every other choice, has a comment above it.
    lines = text.splitlines()
    places = [i for i, line in enumerate(lines) if line.lstrip().startswith("- ")]
    assert places
    assert all(lines[i - 1].lstrip().startswith("#") for i in places)
    # What is commented out becomes right YAML of a right config.
    wanted = ("  # dense: {", "  # - {name: dense", "  # - {name: hybrid", "  # - {name: oracle")
    shown = [line.replace("# ", "", 1) if line.startswith(wanted) else line for line in lines]
    (here / "all.yaml").write_text("\n".join(shown), encoding="utf-8")
    more, _ = load_config(str(here / "all.yaml"))
    assert {"oracle-5", "dense-5", "hybrid-5"} - {arm.name for arm in more.arms} in (
        set(),
        {"dense-5", "hybrid-5"},  # FAISS is not installed
    )


def test_an_existing_config_is_kept(here: Path) -> None:
    write_notes(here / "notes.csv")
    write_questions(here / "quiz.csv")
    (here / "quiz.yaml").write_text("mine", encoding="utf-8")
    assert "--force" in refused().fix
    assert (here / "quiz.yaml").read_text(encoding="utf-8") == "mine"
    assert not (here / "corpora").exists()
    assert call("--force").exit_code == 0
    assert call("--name", "other").exit_code == 0  # the card says the same and is kept
    write_csv(here / "notes.csv", ["id", "text"], [["1", "Other columns."]])
    assert "a card already" in refused("--name", "third").what


def test_long_documents_are_cut_and_fewer_fit(here: Path) -> None:
    long = "A sentence of thirty characters. " * 300  # 9,900 characters, some 2,475 tokens
    write_csv(here / "books.csv", ["id", "text"], [["b1", long], ["b2", long + "More."]])
    write_questions(here / "quiz.csv")
    assert call().exit_code == 0
    card = yaml.safe_load((here / "corpora" / "books.yaml").read_text(encoding="utf-8"))
    assert card["chunking"] == {"chunker": "sentences", "size": 1200}
    medium = "A sentence of thirty characters. " * 72  # 2,376 characters, 594 tokens: not cut
    write_csv(here / "books.csv", ["id", "text"], [["b1", medium], ["b2", medium]])
    assert call("--force").exit_code == 0
    config = yaml.safe_load((here / "quiz.yaml").read_text(encoding="utf-8"))
    assert config["arms"][1]["k"] == 3  # 5 x 594 = 2,970 is over 2,048


def test_many_questions_are_limited(here: Path) -> None:
    rows = [[f"Is {i} even?", "yes" if i % 2 == 0 else "no"] for i in range(201)]
    write_csv(here / "even.csv", ["question", "answer"], rows)
    write_notes(here / "notes.csv")
    assert call().exit_code == 0
    (task,) = yaml.safe_load((here / "even.yaml").read_text(encoding="utf-8"))["tasks"]
    assert (task["task"], task["limit"]) == ("mcq", 200)
    assert task["options"]["columns"]["choices"] == ["yes", "no"]


def test_questions_alone_are_asked_without_passages(here: Path) -> None:
    write_questions(here / "quiz.csv")
    done = call()
    assert "- a corpus: give its files, or --corpus NAME" in done.stdout
    config, _ = load_config("quiz.yaml")
    assert [arm.name for arm in config.arms] == ["closed-book"]


def test_several_corpora_are_one_union(here: Path) -> None:
    write_notes(here / "notes.csv")
    write_lines(here / "more" / "x.jsonl", [{"id": "m1", "body": "Scurvy."}])
    write_questions(here / "quiz.csv")
    assert call().exit_code == 0
    config, _ = load_config("quiz.yaml")
    assert config.indexes["bm25"].corpus == "notes--x"
    assert CliRunner().invoke(cli, ["plan", "quiz.yaml"]).exit_code == 0


def test_a_corpus_that_has_a_card(here: Path) -> None:
    path = write_questions(here / "quiz.csv")
    assert call(str(path), "--corpus", "textbooks").exit_code == 0
    assert load_config("quiz.yaml")[0].indexes["bm25"].corpus == "textbooks"
    assert "textbooks" in refused(str(path), "--corpus", "textbook", "--name", "x").fix


def test_a_corpus_whose_columns_are_named(here: Path) -> None:
    write_csv(here / "leaflets.csv", ["nr", "wording"], [["1", "Iron."], ["2", "Zinc."]])
    write_questions(here / "quiz.csv")
    assert "corpus add leaflets.csv --name CORPUS" in refused("leaflets.csv").fix
    add = "corpus add leaflets.csv --name leaflets --id-field nr --text-field wording"
    added = CliRunner().invoke(cli, add.split())
    assert added.exit_code == 0, added.exception
    done = call("quiz.csv", "--corpus", "leaflets")
    assert done.exit_code == 0, done.exception
    assert "corpus     leaflets (has a card)" in done.stdout


def test_a_card_is_asked_for_terms_and_documents(here: Path) -> None:
    notes, quiz = write_notes(here / "notes.csv"), write_questions(here / "quiz.csv", gold=True)
    add = f"corpus add {notes} --name mine --id-field note_id --text-field text --licence own"
    assert CliRunner().invoke(cli, add.split()).exit_code == 0
    done = call(str(quiz), "--corpus", "mine", "--name", "before").stdout
    assert "whether mine has the documents that the questions name" in done
    assert "terms" not in done
    assert CliRunner().invoke(cli, ["corpus", "build", "mine"]).exit_code == 0
    done = call(str(quiz), "--corpus", "mine", "--name", "after").stdout
    assert "documents that" not in done
    assert "ids in the questions" not in done
    arms = [arm.name for arm in load_config("after.yaml")[0].arms]
    assert any(name.startswith("oracle") for name in arms)  # the gold documents are there
    assert "the terms of the texts of notes: `licence`" in call(str(quiz), str(notes)).stdout


def test_columns_that_are_not_read_are_named(here: Path) -> None:
    header = ["nr", "stem", "A", "B", "answer", "source_entry"]
    write_csv(here / "exam.csv", header, [["1", "?", "x", "y", "A", "K56"]])
    assert "of exam.csv are for, which are not read: nr, source_entry" in call().stdout
    fix = refused("--column", "stratum=nr").fix
    assert "edit it (the questions' columns are `columns` in the task's options)" in fix
    done = call("--column", "stratum=nr", "--column", "id=source_entry", "--force")
    assert "not read" not in done.stdout


def test_restricted_data(here: Path) -> None:
    write_notes(here / "notes.csv")
    write_questions(here / "quiz.csv")
    assert call("--restricted").exit_code == 0
    card = yaml.safe_load((here / "corpora" / "notes.yaml").read_text(encoding="utf-8"))
    assert card["data_use"] == "restricted"
    assert load_config("quiz.yaml")[0].tasks[0].options["data_use"] == "restricted"


def test_an_empty_folder_gets_the_demonstration(here: Path) -> None:
    done = call()
    assert "the config is of the demonstration" in done.stdout
    config, _ = load_config("demo.yaml")
    assert [arm.name for arm in config.arms] == ["closed-book", "bm25-3", "random-3", "oracle-3"]
    assert [model.name for model in config.models] == ["smollm2-135m", "smollm2-135m-icd-hpo"]


def test_what_is_missing_is_named(here: Path) -> None:
    write_notes(here / "notes.csv")
    error = refused()
    assert error.what == "no questions were found"
    assert "notes.csv is a corpus" in error.where
    assert "no such file" in refused("quiz.csv").what
    write_csv(here / "quiz.csv", ["Question", "A", "B", "Anser"], [["?", "x", "y", "A"]])
    error = refused()
    assert error.what == "no column has a usual name of: answer"
    assert "did you mean 'Anser' as answer?" in error.fix
    assert error.fix.endswith("or name them with --column answer=NAME")
    assert call("--column", "answer=Anser").exit_code == 0
    missing = refused("--column", "gold_doc_ids=Golt", "--name", "x")
    assert missing.what == "no file has the column 'Golt', which --column names"
    assert refused("--column", "anser=A").what == "questions have no field 'anser'"
    assert not list(here.glob("runs"))


def test_columns_of_options_are_listed(here: Path) -> None:
    header = ["stem", "first", "second", "third", "solution"]
    write_csv(here / "exam.csv", header, [["Which is a lipid?", "iron", "zinc", "fat", "fat"]])
    error = refused("exam.csv")
    assert error.what == "no option columns were found"
    assert "stem, first, second, third, solution" in error.fix
    assert "--column options=NAME,NAME" in error.fix
    assert "--column reference=solution" in error.fix
    assert call("exam.csv", "--column", "options=first,second, third").exit_code == 0
    config = (here / "exam.yaml").read_text(encoding="utf-8")
    options = yaml.safe_load(config)["tasks"][0]["options"]
    assert options["columns"]["options"] == header[1:4]
    McqOptions.model_validate(options)
    each = [f"--column=options={name}" for name in header[1:4]]
    assert call("exam.csv", *each, "--name", "each").exit_code == 0
    assert (here / "each.yaml").read_text(encoding="utf-8") == config.replace("exam\n", "each\n", 1)
    wrong = refused("exam.csv", "--column", "options=first,secnd", "--name", "x")
    assert wrong.what == "no file has the column 'secnd', which --column names"
    assert call("exam.csv", "--column", "reference=solution", "--name", "x").exit_code == 0


def test_without_a_model_the_demonstration_stands_in(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragbench.cli.init.models.DEMO_PACKAGES", ())
    write_notes(here / "notes.csv")
    write_questions(here / "quiz.csv")
    done = call()
    assert "- which models to compare: --pair GENERAL BIOMEDICAL" in done.stdout
    config, _ = load_config("quiz.yaml")
    assert [m.name for m in config.models] == ["smollm2-135m", "smollm2-135m-icd-hpo"]
    assert config.scoring == "options"
    text = (here / "quiz.yaml").read_text(encoding="utf-8")
    assert "replace it before you conclude" in " ".join(text.replace("#", "").split())


def test_a_name_that_yaml_cannot_hold(here: Path) -> None:
    write_questions(here / "quiz\x07.csv")
    assert "without control characters" in refused("--name", "x").fix
    assert not (here / "x.yaml").exists()


def test_two_local_models(here: Path) -> None:
    write_notes(here / "notes.csv")
    write_questions(here / "quiz.csv")
    general, medical = (write_model(here / "models" / name) for name in ("Base", "Med"))
    done = call("--pair", str(general), str(medical))
    assert done.exit_code == 0, done.exception
    config, _ = load_config("quiz.yaml")
    kinds = [(m.name, m.kind, m.base, m.reference) for m in config.models]
    assert kinds == [
        ("base", "general", None, "./models/Base"),
        ("med", "biomedical", "base", "./models/Med"),
    ]
    assert len(DISEASES) == 20
