"""Damages one file per case and calls the command line in this process.

A case is clean if the command ends with an exit code of 0 to 5, no other exception, no temporary
file, within the limits of time and memory.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fnmatch
import importlib
import io
import json
import os
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import direct
import mutate
from seeds import Target, write_home
from strong import write_strong

SECONDS, MEMORY = 20, 2 << 30
HALF = re.compile(r"\..+\.\d+\.(tmp|old)(/|$)")


class Hang(BaseException):
    """The case took too long; no handler of ``Exception`` catches it."""


class Home:
    """The home folder, which is made whole again after every case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, tuple[bytes, tuple[int, int, int]]] = {}

    def remember(self) -> None:
        """Keep the content of every file."""
        for name, path in self._present().items():
            self.files[name] = (path.read_bytes(), self._state(path))

    def restore(self) -> None:
        """Remove what is new and write what is damaged."""
        present = self._present()
        for name, path in present.items():
            if name not in self.files:
                path.parent.chmod(0o755)
                path.unlink()
        for name, (data, state) in self.files.items():
            path = self.folder / name
            if name not in present or self._state(path) != state:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                path.write_bytes(data)
                path.chmod(0o644)
                self.files[name] = (data, self._state(path))
        for place, _, _ in os.walk(self.folder, topdown=False):
            with contextlib.suppress(OSError):
                Path(place).rmdir()

    def halves(self) -> list[str]:
        """Return the names of temporary files."""
        return [name for name in self._present() if HALF.search(name)]

    def _present(self) -> dict[str, Path]:
        found = {}
        for place, folders, names in os.walk(self.folder):
            for name in [*names, *(f for f in folders if Path(place, f).is_symlink())]:
                path = Path(place, name)
                found[path.relative_to(self.folder).as_posix()] = path
        return found

    @staticmethod
    def _state(path: Path) -> tuple[int, int, int]:
        facts = path.lstat()
        return facts.st_ino, facts.st_mtime_ns, facts.st_mode


def ragbench(command: str) -> int:
    """Call the command line in this process, and return its exit code."""
    from ragbench.cli.main import main

    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            main(shlex.split(command))
        except SystemExit as end:
            ragbench.message = errors.getvalue()  # type: ignore[attr-defined]
            return end.code if isinstance(end.code, int) else 1
    return 0


def _reseal(home: Path, name: str) -> None:
    """Make the sums of a damaged folder again, so that the damage behind them is reached."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from ragbench.base.files import sha256_file, sha256_json
    from tests.runfolder.sealing import reseal

    folder = home / "/".join(name.split("/")[:2])
    with contextlib.suppress(Exception):
        if name.startswith("runs/"):
            reseal(folder)
            return
        manifest = folder / "manifest.json"
        about = json.loads(manifest.read_text())
        for file in about["sums"]:
            path = folder / file
            about["sums"][file] = {"size": path.stat().st_size, "sha256": sha256_file(path)}
        about.pop("seal")
        manifest.write_text(json.dumps(about | {"seal": sha256_json(about)}))


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    return 0


def case(home: Home, target: Target, seed: str) -> tuple[str, str]:
    """Damage one file, run one chain of commands, and return the damage and what went wrong."""
    draw = random.Random(seed)
    names = [n for n in home.files for p in target.files if fnmatch.fnmatch(n, p)]
    name = draw.choice(sorted(names))
    path = home.folder / name
    damage, chain = "", draw.choice(target.commands)
    if draw.random() < 0.02:
        damage = mutate.replace(path, draw)
    else:
        data = path.read_bytes()
        for _ in range(draw.choice((1, 1, 1, 2))):
            damage, data = mutate.damage(data, draw, name)
        path.write_bytes(data)
    if target.reseals and path.is_file() and draw.random() < 0.6:
        _reseal(home.folder, name)
        damage += ", resealed"
    print(json.dumps({"what": f"{name}: {damage}: {'; '.join(chain)}"}), flush=True)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before, problem = _peak(), ""
    signal.alarm(SECONDS)
    faulthandler.dump_traceback_later(4 * SECONDS, exit=True)
    started = time.monotonic()
    try:
        for command in chain:
            code = ragbench(command)
            if code not in range(6):
                problem = f"exit code {code}: {ragbench.message[-300:]}"  # type: ignore[attr-defined]
            if code:
                break
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        if "ATTACK_TRACE" in os.environ:
            traceback.print_exc()
        last = traceback.extract_tb(error.__traceback__)
        inside = [f for f in last if "/ragbench/" in f.filename] or last
        place = f"{Path(inside[-1].filename).name}:{inside[-1].lineno}"
        problem = f"{type(error).__name__} at {place}: {str(error)[:200]!r}"
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
    if not problem and _peak() - before > MEMORY:
        problem = f"memory: {(_peak() - before) >> 20} MB"
    if not problem and (halves := home.halves()):
        problem = f"half-written: {halves}"
    home.restore()
    if not problem and (took := time.monotonic() - started) > SECONDS:
        problem = f"slow: {took:.1f} s"
    return f"{name}: {damage}: {'; '.join(chain)}", problem


def work(seed: int, first: int, cases: int, only: str, repeat: str) -> None:
    """Try some cases of a campaign, and print one JSON line before and after each."""
    limit = 24 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, _raise_hang)
    with tempfile.TemporaryDirectory(prefix="attack-") as place:
        folder = Path(place)
        os.environ |= {"RAGBENCH_HOME": place, "HF_HUB_OFFLINE": "1"}
        os.chdir(folder)
        targets = [*write_home(folder, ragbench), *write_strong(folder, ragbench)]
        targets += direct.TARGETS
        targets = [target for target in targets if fnmatch.fnmatch(target.kind, only or "*")]
        home = Home(folder)
        home.remember()
        weights = [target.weight for target in targets]
        # On a busy machine the first import takes as long as a case may.
        importlib.import_module("sentence_transformers")
        for number in range(first, cases):
            name = repeat or f"{seed}-{number}"
            (target,) = random.Random(name).choices(targets, weights)
            print(json.dumps({"case": name, "number": number, "kind": target.kind}), flush=True)
            what, problem = (case if target.files else direct.case)(home, target, name)
            print(json.dumps({"what": what, "problem": problem}), flush=True)
        os.chdir("/")


def campaign(seed: int, cases: int, only: str = "", repeat: str = "") -> int:
    """Run a campaign and print its figures by kind; return the number of problems.

    The cases run in a process of their own; if a case ends it, the next case starts another.
    """
    tried: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    number = -1
    while number + 1 < cases:
        command = [sys.executable, str(Path(__file__).parent), "work", "--seed", str(seed)]
        command += ["--first", str(number + 1), "--cases", str(cases)]
        worker = subprocess.Popen(
            [*command, "--only", only, "--repeat", repeat], stdout=subprocess.PIPE, text=True
        )
        about: dict[str, object] = {}
        assert worker.stdout is not None
        for line in worker.stdout:
            if not line.startswith("{"):
                continue
            about |= json.loads(line)
            if line.startswith('{"case"'):
                number = int(str(about["number"]))
                tried[str(about["kind"])] += 1
                about["open"] = True
                continue
            if '"problem": ' not in line:
                continue
            about["open"] = False
            _judge(about, str(about["problem"]), seen, wrong)
        if code := worker.wait():
            if not about.get("open"):
                raise SystemExit(f"the worker ended with {code} before a case")
            _judge(about, f"the process ended with {code}", seen, wrong)
    for kind in sorted(tried):
        print(f"{kind:40} {tried[kind]:6} {wrong[kind]:4}")
    print(f"{'all':40} {tried.total():6} {wrong.total():4}")
    return wrong.total()


def _judge(about: dict[str, object], problem: str, seen: Counter[str], wrong: Counter[str]) -> None:
    if problem:
        wrong[str(about["kind"])] += 1
        seen[problem[:60]] += 1
        if seen[problem[:60]] <= 3:
            print(f"PROBLEM {about['case']} {about['kind']}", flush=True)
            print(f"  {about.get('what')}\n  {problem}", flush=True)


def _raise_hang(*_: object) -> None:
    raise Hang(f"more than {SECONDS} s")
