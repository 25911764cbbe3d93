"""A real llama.cpp, with the real small model in float32, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragbench.base.errors import PrerequisiteError
from ragbench.base.weights import locate
from ragbench.models.local.hf import HfModel
from tests.models.conftest import SMOLLM2
from tests.models.served.real import (
    GENERATE,
    LETTERS,
    OPTIONS,
    RealServer,
    agreement,
    here,
    items,
    running,
    scores_of,
    served,
)

pytestmark = pytest.mark.slow


def in_float32(source: Path, target: Path) -> Path:
    """Write a GGUF file with the same metadata and every tensor as float32."""
    import gguf
    import numpy as np

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    own = ("general.architecture", "general.file_type", "general.quantization_version")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name not in own:
            kind, *inner = field.types
            writer.add_key_value(name, field.contents(), kind, inner[0] if inner else None)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    folder, source = tmp_path_factory.mktemp("llamacpp"), locate(SMOLLM2)
    assert source is not None
    with running("llamacpp", in_float32(source, folder / "smollm2.gguf"), folder) as found:
        yield found


def keys(folder: Path, server: RealServer, format_: str) -> dict[str, object]:
    return {"model": server.models()[0], "tokenizer": str(folder), "format": format_}


@pytest.mark.parametrize("format_", ["chat", "plain"])
def test_letters_are_the_local_models(
    server: RealServer,
    smollm2_folder: Path,
    smollm2: HfModel,
    plain: HfModel,
    format_: str,
) -> None:
    own = smollm2 if format_ == "chat" else plain
    model = served(server.url, **keys(smollm2_folder, server, format_))
    model.check_abilities([LETTERS])
    facts = model.facts().served
    assert facts is not None
    assert facts.letters == "completions alone"  # llama.cpp has no echo
    mine, there = here(own), scores_of(model, items(), threads=8)
    found = agreement(mine, there)
    assert {one.requests for one in there} == {1}
    assert found.differing == {}
    assert [one.prompt_tokens for one in mine] == [one.prompt_tokens for one in there]
    # A letter that is not listed is bounded from above, so that only the others can be compared.
    known = [n for n, one in enumerate(there) if not one.unlisted]
    assert agreement([mine[n] for n in known], [there[n] for n in known]).largest < 2e-3


def test_options_are_refused_because_it_cannot_echo(
    server: RealServer, smollm2_folder: Path
) -> None:
    model = served(server.url, **keys(smollm2_folder, server, "chat"))
    with pytest.raises(PrerequisiteError, match="does not report the log-probabilities"):
        model.check_abilities([OPTIONS])


@pytest.mark.parametrize("format_", ["chat", "plain"])
def test_replies_are_the_local_models(
    server: RealServer, smollm2_folder: Path, smollm2: HfModel, plain: HfModel, format_: str
) -> None:
    own = smollm2 if format_ == "chat" else plain
    model = served(server.url, **keys(smollm2_folder, server, format_))
    model.check_abilities([GENERATE])
    for item in items()[:10]:
        mine = own.generate(own.render(item.turns), limit=12)
        there = model.generate(model.render(item.turns), limit=12)
        assert (there.text, there.prompt_tokens) == (mine.text, mine.prompt_tokens)
