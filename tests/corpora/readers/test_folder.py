"""A folder of documents: which files are read, their ids and titles, and what is not read."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.build import build_corpus
from ragbench.corpora.check import check_corpus
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers.folder import FolderOptions, FolderReader, safe_id
from tests.conftest import ragbench
from tests.corpora.files import hidden, write_docx, write_pdf


def reader(path: Path, **options: object) -> FolderReader:
    return FolderReader(path, FolderOptions.model_validate(options))


def read(path: Path, **options: object) -> list[Located | Skipped]:
    return list(reader(path, **options).read())


def ids(found: list[Located | Skipped]) -> list[str]:
    return [e.passage.id for e in found if isinstance(e, Located)]


def reasons(found: list[Located | Skipped]) -> dict[str, str]:
    """Return the reason by the name of the file."""
    return {
        PurePosixPath(e.where.partition(": ")[0]).name: e.reason
        for e in found
        if isinstance(e, Skipped)
    }


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One document of each kind; read it, do not change it."""
    folder = tmp_path_factory.mktemp("documents")
    write_pdf(folder / "b10.pdf", ["Gout is painful.", "", "Urate."], title="On gout")
    write_docx(folder / "ward 3" / "letter.docx", ["She has gout."], title="A letter")
    (folder / "b9.md").write_text("# Scurvy\n\nBleeding gums.\n", encoding="utf-8")
    (folder / "a.html").write_text("<title>Rickets</title><p>Soft bones.</p>", encoding="utf-8")
    (folder / "note.txt").write_text("Cough and fever.\n", encoding="utf-8")
    return folder


def test_every_kind_is_read_with_its_title_in_the_order_people_count(documents: Path) -> None:
    at = str(documents)
    letter = "She has gout.\n\nTroponin | raised"
    assert read(documents) == [
        Located(Passage("a.html", "a.html", "Rickets", "Soft bones."), f"{at}/a.html"),
        Located(Passage("b9.md", "b9.md", "Scurvy", "# Scurvy\n\nBleeding gums."), f"{at}/b9.md"),
        Located(
            Passage("b10.pdf:p1", "b10.pdf", "On gout", "Gout is painful.", {"page": "1"}),
            f"{at}/b10.pdf: page 1",
        ),
        Skipped("no text on a page", f"{at}/b10.pdf: page 2"),
        Located(
            Passage("b10.pdf:p3", "b10.pdf", "On gout", "Urate.", {"page": "3"}),
            f"{at}/b10.pdf: page 3",
        ),
        Located(Passage("note.txt", "note.txt", "note", "Cough and fever."), f"{at}/note.txt"),
        Located(
            Passage("ward%203/letter.docx", "ward%203/letter.docx", "A letter", letter),
            f"{at}/ward 3/letter.docx",
        ),
    ]


def test_a_pdf_can_be_one_passage(documents: Path) -> None:
    (found,) = read(documents / "b10.pdf", unit="file")
    assert isinstance(found, Located)
    assert found.passage == Passage("b10.pdf", "b10.pdf", "On gout", "Gout is painful.\n\nUrate.")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"recursive": False}, ["a.html", "b9.md", "b10.pdf", "note.txt"]),
        ({"glob": ["*.md", "ward*/*"]}, ["b9.md", "ward 3/letter.docx"]),
        ({"glob": ["*.docx"]}, ["ward 3/letter.docx"]),
    ],
)
def test_options_choose_the_files(
    documents: Path, options: dict[str, object], expected: list[str]
) -> None:
    found = reader(documents, **options).sources()
    assert [str(path.relative_to(documents)) for path in found] == expected


NAMES = st.one_of(
    st.binary(min_size=1),
    st.text(st.characters(codec="utf-8"), min_size=1).map(os.fsencode),
    st.just(b"a%20b"),
)


@given(st.sets(NAMES.filter(lambda name: not {*b"/\0"} & {*name} and name.strip(b"."))))
def test_ids_are_unique_and_have_no_blanks(names: set[bytes]) -> None:
    found = [safe_id(PurePosixPath(os.fsdecode(name))) for name in names]
    assert len(set(found)) == len(names)
    for identifier in found:
        assert identifier.isprintable()
        assert not any(c.isspace() for c in identifier)
        assert not set("#:") & set(identifier)


def test_a_name_that_is_no_text_is_an_id_and_a_title(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"gout \xff#1.txt")).write_text("Gout.", encoding="utf-8")
    (found,) = read(tmp_path)
    assert isinstance(found, Located)
    assert found.passage.id == "gout%20%FF%231.txt"
    assert found.passage.title == "gout \ufffd#1"


def test_what_is_not_read_is_counted_and_what_is_hidden_is_not(tmp_path: Path) -> None:
    for name in ("a.txt", ".hidden.txt", ".git/b.txt", "~$open.docx", "old.DOC", "scan", "up.TXT"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    os.mkfifo(tmp_path / "pipe.txt")  # opening it would wait for ever
    found = read(tmp_path)
    assert ids(found) == ["a.txt", "up.TXT"]
    assert reasons(found) == {
        "old.DOC": "the ending .doc, which is not read",
        "scan": "the ending (none), which is not read",
        "pipe.txt": "no plain file",
    }


def test_links_that_lead_out_are_skipped_and_named(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret", encoding="utf-8")
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_text("Gout.", encoding="utf-8")
    for name, target in {
        "1.txt": "../outside/secret.txt",
        "2.txt": "sub/a.txt",
        "3.txt": "nowhere.txt",
        "4.txt": "4.txt",
        "out": "../outside",
        "loop": ".",
        "zero.txt": "/dev/zero",
    }.items():
        (folder / name).symlink_to(target)
    found = read(folder)
    assert ids(found) == ["2.txt", "sub/a.txt"]
    out, nowhere = "a link that leads out of the folder", "a link that leads nowhere"
    assert reasons(found) == {
        "1.txt": out,
        "3.txt": nowhere,
        "4.txt": nowhere,
        "out": out,
        "loop": "a link to a folder",
        "zero.txt": out,
    }
    assert all(entry.listed for entry in found if isinstance(entry, Skipped))


def test_a_folder_that_cannot_be_read_stops_the_build_or_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Gout.", encoding="utf-8")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(21):  # a path of more than 4,096 bytes, which nothing can open
        os.mkdir("n" * 200, dir_fd=here)
        inner = os.open("n" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    with pytest.raises(DataError, match="a part of the folder cannot be reached") as caught:
        read(tmp_path)
    assert "on_error: skip" in caught.value.fix
    found = read(tmp_path, on_error="skip")
    assert ids(found) == ["a.txt"]
    (skipped,) = [entry for entry in found if isinstance(entry, Skipped)]
    assert skipped.reason == "a path that cannot be reached"
    assert skipped.listed
    assert skipped.where.startswith(str(tmp_path / ("n" * 200)))
    shutil.rmtree(tmp_path / ("n" * 200))


def test_a_folder_that_is_a_link_itself_is_read(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("Gout.", encoding="utf-8")
    (tmp_path / "link").symlink_to("real")
    assert ids(read(tmp_path / "link")) == ["a.txt"]


def broken(folder: Path) -> dict[str, str]:
    """Write one good file and some broken ones; return the reason of each of these."""
    (folder / "good.txt").write_text("Gout.", encoding="utf-8")
    (folder / "latin.txt").write_bytes("Ménière".encode("latin-1"))
    (folder / "zero.pdf").write_bytes(b"")
    whole = write_pdf(folder / "cut.pdf", ["Gout."]).read_bytes()
    (folder / "cut.pdf").write_bytes(whole[: len(whole) // 4])
    whole = write_docx(folder / "cut.docx", ["Gout."]).read_bytes()
    (folder / "cut.docx").write_bytes(whole[:-300])
    write_pdf(folder / "locked.pdf", ["secret"], password="x")
    return {
        "latin.txt": "no text in its encoding",
        "zero.pdf": "damage",
        "cut.pdf": "damage",
        "cut.docx": "damage",
        "locked.pdf": "encryption",
    }


def test_files_that_cannot_be_read_are_skipped_where_the_card_says_so(tmp_path: Path) -> None:
    expected = broken(tmp_path)
    found = read(tmp_path, on_error="skip")
    assert ids(found) == ["good.txt"]
    assert reasons(found) == expected
    assert all(entry.listed for entry in found if isinstance(entry, Skipped))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("latin.txt", "the text file cannot be read: it is not utf-8"),
        ("zero.pdf", "the pdf file cannot be read: "),
        ("cut.docx", "the docx file cannot be read: it is not whole: "),
        ("locked.pdf", "the pdf file cannot be read: it is encrypted: "),
    ],
)
def test_files_that_cannot_be_read_stop_the_build_by_default(
    tmp_path: Path, name: str, what: str
) -> None:
    broken(tmp_path)
    with pytest.raises(DataError) as caught:
        read(tmp_path, glob=[name])
    assert caught.value.what.startswith(what)
    assert caught.value.where == str(tmp_path / name)
    assert caught.value.fix.endswith("; or set the reader's option on_error: skip")


def test_documents_without_text_are_skipped_and_named(tmp_path: Path) -> None:
    write_pdf(tmp_path / "scan.pdf", ["", ""])
    write_docx(tmp_path / "blank.docx", [])
    for name in ("empty.txt", "empty.md", "empty.html"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a.txt").write_text("Gout.", encoding="utf-8")
    found = read(tmp_path)
    assert ids(found) == ["a.txt"]
    assert reasons(found) == {
        "scan.pdf": "no text: a scanned PDF?",
        "blank.docx": "no text",
        "empty.txt": "no text",
        "empty.md": "no text",
        "empty.html": "no text",
    }
    assert all(entry.listed for entry in found if isinstance(entry, Skipped))


def test_a_line_of_ten_megabytes_is_a_passage(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word " * 2_000_000, encoding="utf-8")
    (found,) = read(tmp_path)
    assert isinstance(found, Located)
    assert len(found.passage.text) == 9_999_999


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="the folder reader needs a path"):
        FolderReader(None, FolderOptions())
    with pytest.raises(DataError, match="the folder is not there"):
        reader(tmp_path / "none").sources()
    (tmp_path / "a.xlsx").write_text("x", encoding="utf-8")
    for path in (tmp_path, tmp_path / "a.xlsx"):
        with pytest.raises(
            DataError, match=r"holds no file with one of the endings \.txt"
        ) as caught:
            reader(path).sources()
        assert caught.value.where == str(path)
    with pytest.raises(DataError, match=r"no file that fits \*\.pdf with one of"):
        reader(tmp_path, glob=["*.pdf"]).sources()


@pytest.mark.parametrize("encoding", ["no-such", "hex"])
def test_an_unknown_encoding_is_a_mistake_of_the_card_and_not_of_the_files(encoding: str) -> None:
    with pytest.raises(ValueError, match="encoding is not one that Python knows"):
        FolderOptions(encoding=encoding, on_error="skip")


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("a.pdf", "pypdf"),
        ("a.html", "bs4"),
        ("a.txt", "langchain_community"),
    ],
)
def test_a_missing_package_is_named_with_the_line_to_type(
    home: Path, file: str, package: str
) -> None:
    (home / "docs").mkdir()
    (home / "docs" / file).write_text("x", encoding="utf-8")
    add = ("corpus", "add", "docs", "--name", "mine", "--reader", "folder")
    done = ragbench(home, *add, **hidden(home, package))
    assert done.returncode == 4
    assert f"the package {package} is not installed" in done.stderr
    assert "pip install 'ragbench[documents]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_build_names_what_it_passes_over(home: Path) -> None:
    folder = home / "docs"
    folder.mkdir()
    broken(folder)
    write_pdf(folder / "scan.pdf", [""])
    add = ("corpus", "add", "docs", "--name", "mine", "--reader", "folder")
    assert ragbench(home, *add, "--option", "on_error=skip").returncode == 0
    done = ragbench(home, "corpus", "build", "mine")
    assert done.returncode == 0, done.stderr
    assert "mine: 1 passages" in done.stdout
    assert "skipped 3 with damage" in done.stdout
    assert f"{folder / 'scan.pdf'}: skipped: no text: a scanned PDF?" in done.stderr
    assert f"{folder / 'locked.pdf'}: it is encrypted" in done.stderr
    shown = json.loads(ragbench(home, "corpus", "show", "mine", "--json").stdout)
    assert shown["skipped"] == {
        "damage": 3,
        "encryption": 1,
        "no text in its encoding": 1,
        "no text: a scanned PDF?": 1,
    }
    assert ragbench(home, "corpus", "check", "mine").returncode == 0


def write_card(home: Path, **options: object) -> None:
    (home / "corpora").mkdir()
    (home / "docs" / "sub").mkdir(parents=True)
    for name in ("one.txt", "two.txt"):
        (home / "docs" / name).write_text(f"Text of {name}.", encoding="utf-8")
    card = {"reader": "folder", "path": "../docs", "options": options}
    (home / "corpora" / "mine.yaml").write_text(json.dumps(card), encoding="utf-8")


@pytest.mark.parametrize("name", ["three.txt", "sub/one.txt"])
def test_a_file_of_another_name_is_a_change_since_ids_are_names(home: Path, name: str) -> None:
    write_card(home)
    build_corpus("mine")
    (home / "docs" / "one.txt").rename(home / "docs" / name)  # size and time stay
    with pytest.raises(DataError, match="another card or other files"):
        build_corpus("mine")
    assert check_corpus("mine").source == "changed"
    assert build_corpus("mine", replace=True).find(name) is not None
    assert check_corpus("mine").source == "unchanged"


def test_a_file_whose_name_is_no_text_is_built(home: Path) -> None:
    write_card(home)
    (home / "docs" / os.fsdecode(b"gout \xff.txt")).write_text("Gout.", encoding="utf-8")
    done = ragbench(home, "corpus", "build", "mine")
    assert done.returncode == 0, done.stderr
    corpus = build_corpus("mine")
    assert corpus.find("gout%20%FF.txt") is not None
    assert [file.name for file in corpus.manifest.files] == [
        "gout \\xff.txt",
        "one.txt",
        "two.txt",
    ]
    assert check_corpus("mine").source == "unchanged"
