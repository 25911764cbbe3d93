"""A config of equal questions that a model behind a server is asked closed-book."""

from __future__ import annotations

import json
from pathlib import Path

from tests.models.loopback import MODEL, Loopback

CONFIG = """\
name: {name}
models:
  - {{name: m, backend: server, url: "{url}", model: {model}, context: 4096, {keys}}}
tasks:
  - {{name: asked, task: mcq, scoring: {scoring}, options: {{path: asked.jsonl}}}}
arms: [closed-book]
"""


def asked(
    home: Path, server: Loopback, name: str, *, n: int, keys: str, scoring: str = "letters"
) -> str:
    """Write the questions and the config, and return its path.

    Args:
        home: The folder of both.
        server: What answers.
        name: The run's name.
        n: Number of questions; the second of three options is right.
        keys: Further keys of the model.
        scoring: How answers are taken.
    """
    lines = [
        {"id": f"q{i}", "question": f"Question {i}?", "options": ["x", "y", "z"], "answer": "B"}
        for i in range(n)
    ]
    (home / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = home / f"{name}.yaml"
    path.write_text(
        CONFIG.format(name=name, url=server.url, model=MODEL, keys=keys, scoring=scoring)
    )
    return str(path)
