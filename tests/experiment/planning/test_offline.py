"""Plans of what is not here: the paper's configs, with stand-ins by card and a stated device."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.cli.plan import print_plan
from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.devices import DEVICES
from ragbench.experiment.planning.offline import OfflineGrid, StandIn, card_of
from ragbench.experiment.planning.plan import Plan, make_plan
from ragbench.models.cards import cards
from ragbench.models.spec import ModelSpec
from tests.models.local import tiny
from tests.unions import write_corpus

PAPER = ("cases-8b", "cases-70b", "clue-level1", "clue-level2", "rag-or-finetuning")


def plan_of(name: str, *overrides: str, device: str = "") -> Plan:
    return make_plan(OfflineGrid(*load_config(name, overrides)), device=device)


@pytest.mark.parametrize("name", PAPER)
def test_without_its_files_a_config_of_the_paper_lists_what_is_missing(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(name, device="h100")
    print_plan(plan, prompts=0, whole=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 40
    assert max(map(len, lines)) <= 80
    assert "everything is built" not in lines
    missing = {part.what: part for part in plan.missing}
    config, _ = load_config(name)
    assert {f"task {task.name}" for task in config.tasks} <= set(missing)
    assert {f"model {model.name}" for model in config.models} <= set(missing)
    assert all(part.reason and part.fix for part in plan.missing)
    gated = [m.name for m in config.models if (card := card_of(m)) and card.gated]
    assert all("accept its terms" in missing[f"model {name}"].fix for name in gated)
    assert list(home.iterdir()) == []


@pytest.mark.skipif(find_spec("langchain_chroma") is not None, reason="langchain-chroma is here")
def test_stores_encoders_and_rerankers_that_are_not_here_are_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    write_corpus(home, "ward", ["a", "b"])
    (home / "indexes").mkdir()
    mine = {"kind": "faiss", "encoder": {"model": "package:no_such_weights/model"}}
    (home / "indexes" / "mine.yaml").write_text(
        json.dumps(
            {
                "kind": "rerank",
                "first": mine,
                "reranker": {"model": "package:no_such_weights/model"},
            }
        )
    )
    (home / "q.jsonl").write_text(
        '{"id": "q", "question": "?", "options": ["c", "d"], "answer": "c"}'
    )
    recipes = ["minilm-chroma", "medcpt-flat", "bm25-rerank", "mine", "bm25"]
    config = {
        "name": "lacks",
        "models": ["card:openbiollm-8b"],
        "indexes": {recipe: {"recipe": recipe, "corpus": "ward"} for recipe in recipes},
        "arms": ["closed-book", *({"retriever": recipe, "k": 1} for recipe in recipes)],
        "tasks": [{"name": "mcq", "options": {"path": "q.jsonl"}}],
    }
    (home / "lacks.yaml").write_text(json.dumps(config))
    plan = plan_of(str(home / "lacks.yaml"), device="h100")
    missing = [(one.what, one.reason) for one in plan.missing if one.what.startswith("index")]
    cached = "is not in the hub cache on this machine"
    assert missing == [
        (
            "index minilm-chroma",
            "the store 'chroma' needs a package that is not here: No module named "
            "'langchain_chroma'",
        ),
        ("index medcpt-flat", f"ncbi/MedCPT-Article-Encoder {cached}"),
        ("index medcpt-flat", f"ncbi/MedCPT-Query-Encoder {cached}"),
        ("index bm25-rerank", f"cross-encoder/ms-marco-MiniLM-L6-v2 {cached}"),
        (
            "index mine",
            "the package 'no_such_weights', which has the weights, is not installed",
        ),
    ]
    built = [line for line in plan.to_build if "index build" in line]
    assert [line.split()[3] for line in built] == ["medcpt-flat", "bm25-rerank", "bm25"]


def test_what_a_model_takes_follows_from_its_card(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "data").mkdir()
    questions = [
        {"id": f"q{i}", "question": f"Which vitamin is lacking in case {i}?",
         "options": {"A": "vitamin C", "B": "vitamin D"}, "answer": "A"}
        for i in range(5)
    ]  # fmt: skip
    text = "\n".join(json.dumps(question) for question in questions)
    (home / "data" / "q.jsonl").write_text(text, encoding="utf-8")
    (home / "big.yaml").write_text(
        "name: big\nmodels: ['card:openbiollm-70b']\narms: [closed-book]\n"
        "tasks: [{name: mcq, scoring: generate, reply_limit: 100, options: {path: data/q.jsonl}}]\n"
    )
    plan = plan_of(str(home / "big.yaml"), device="h100")
    assert [estimate.model for estimate in plan.estimates] == [
        "openbiollm-70b",
        "llama-3-70b-instruct",
    ]
    estimate = plan.estimates[0]
    assert estimate.prompts == 5
    assert estimate.reply_tokens == 500
    # 70.6e9 parameters of two bytes; of 80 GB a card, nine tenths less 3 GB: 141.2 / 69 -> 3
    assert estimate.weight_bytes == 141_200_000_000
    assert (estimate.devices, estimate.seconds, estimate.device) == (None, None, "does not fit")
    assert plan.notes[0] == (
        "warning: openbiollm-70b does not fit on 1 x H100 SXM, 80 GB: it needs 141 GB; "
        "device_map: auto uses 3"
    )
    print_plan(plan, prompts=0, whole=False)
    assert "none: openbiollm-70b, llama-3-70b-instruct would not fit" in capsys.readouterr().out
    maps = [f"models.{name}.device_map=auto" for name in (0, 1)]
    plan = plan_of(str(home / "big.yaml"), *maps, device="h100")
    estimate = plan.estimates[0]
    assert (estimate.devices, estimate.unfit) == (3, "")
    # The layers of three cards follow one another; 192 replies are written at a time.
    h100 = DEVICES["h100"]
    reading = 2 * 70.6e9 * estimate.prompt_tokens / (h100.products_per_s * 0.4)
    writing = 500 / 192 * 141.2e9 / (h100.bytes_per_s * 0.5)
    assert estimate.seconds == pytest.approx(reading + writing)
    assert len(plan.samples) == 2 * 3
    assert all("vitamin" in sample.prompt for sample in plan.samples)
    with pytest.raises(UsageError, match="no device 'h1000'") as caught:
        plan_of(str(home / "big.yaml"), device="h1000")
    assert "h100" in caught.value.fix


def test_a_stand_in_only_plans() -> None:
    entry = {"name": "meditron-7b", "model": cards()["meditron-7b"].model}
    spec = ModelSpec.model_validate(entry)
    counter = OfflineGrid(*load_config("cases-8b"))._counter
    model = StandIn(spec, counter)
    assert model.context_tokens == cards()["meditron-7b"].context_tokens
    assert model.count_tokens("a b c") == 3
    with pytest.raises(PrerequisiteError, match="can only be planned"):
        model.generate("x", limit=1)


def test_a_quantised_folder_is_planned_where_it_cannot_run(home: Path) -> None:
    """Its tokenizer and sizes are here; the package that loads it is not."""
    tiny.llama(home / "small", tiny.tokenizer(), max_position_embeddings=512)
    path = home / "small" / "config.json"
    settings = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    question = {"id": "q", "question": "Which?", "options": ["a", "b"], "answer": "a"}
    (home / "q.jsonl").write_text(json.dumps(question))
    (home / "four.yaml").write_text(
        "name: four\nmodels: [{name: four, path: small}]\narms: [closed-book]\n"
        "tasks: [{name: mcq, scoring: letters, options: {path: q.jsonl}}]\n"
    )
    plan = plan_of(str(home / "four.yaml"), device="rtx-4090")
    assert [part.what for part in plan.missing] == ["model four"]
    assert "quantised (gptq-int4)" in plan.missing[0].reason
    estimate = plan.estimates[0]
    # Half a byte for the weights of the layers, two for embedding, head and norms.
    assert estimate.weight_bytes == 2 * 10_240 // 2 + 2 * (2 * 101 * 32 + 5 * 32)
    assert (estimate.devices, estimate.unfit) == (1, "")
    assert plan.samples[0].prompt_tokens == len(plan.samples[0].prompt)  # one per character


def bring(home: Path) -> None:
    """Put the fixtures where each task expects its file."""
    clue, tasks = (Path(__file__).parents[2] / "data" / name for name in ("clue", "tasks"))
    places = {
        "cases/nejm.jsonl": tasks / "nejm.jsonl",
        "cases/jama.jsonl": tasks / "jama.jsonl",
        "mednli/mli_test_v1.jsonl": clue / "mli_test_v1.jsonl",
        "probsum/BioNLP2023-1A-Test.csv": clue / "BioNLP2023-1A-Test.csv",
        "longhealth/benchmark_v5.json": clue / "benchmark_v5.json",
        "medisumqa/MeDiSumQA.json": clue / "MeDiSumQA.json",
        "medisumcode/MeDiSumCode.json": clue / "MeDiSumCode.json",
        "meqsum.jsonl": clue / "meqsum.jsonl",
    }
    for place, source in places.items():
        path = home / "data" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)
    bioasq = json.loads((tasks / "bioasq.json").read_text(encoding="utf-8"))
    options = {"A": "liver", "B": "heart", "C": "lung", "D": "spleen"}
    three = {
        f"{i:03d}": {
            "question": f"Which organ is meant in case {i}?",
            "options": options,
            "answer": "B",
        }
        for i in range(4)
    }
    yes = {"A": "yes", "B": "no", "C": "maybe"}
    pubmed = {
        str(i): {
            "question": f"Does it help in group {i}?",
            "options": yes,
            "answer": "A",
            "PMID": [i],
        }
        for i in range(4)
    }
    benchmark = {
        "mmlu": {f"anatomy-{key}": value for key, value in three.items()},
        **{"medqa": three, "medmcqa": three, "pubmedqa": pubmed, **bioasq},
    }
    path = home / "data" / "mirage" / "benchmark.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(benchmark), encoding="utf-8")


@pytest.mark.parametrize("name", [*PAPER[:-1], pytest.param(PAPER[-1], marks=pytest.mark.slow)])
def test_with_its_files_every_prompt_of_a_config_of_the_paper_is_rendered(
    name: str, home: Path
) -> None:
    bring(home)
    config, _ = load_config(name)
    asked = {task.name for task in config.tasks}
    moved = [
        f"tasks.{task}.options.path={path}"
        for task, path in (
            ("meqsum", "data/meqsum.jsonl"),
            ("pubmedqa", "data/mirage/benchmark.json"),
        )
        if task in asked
    ]
    plan = plan_of(name, *moved, device="h100")
    assert not [part for part in plan.missing if part.what.startswith("task")]
    assert {cell[1] for cell in plan.cells} == asked
    samples = {(s.model, s.task, s.arm) for s in plan.samples}
    assert samples == {cell[:3] for cell in plan.cells}
    assert len(plan.samples) == 3 * len(plan.cells)
    assert all(sample.prompt and sample.prompt_tokens > 20 for sample in plan.samples)
    assert all(estimate.unfit or estimate.seconds for estimate in plan.estimates)
    assert {estimate.model for estimate in plan.estimates if estimate.unfit} == {
        estimate.model for estimate in plan.estimates if (estimate.weight_bytes or 0) > 69e9
    }
