"""``ragbench``: the group of commands, and the exit codes of errors."""

from __future__ import annotations

import codecs
import io
import os
import sys
from importlib import import_module
from io import StringIO
from pathlib import Path

import click

from ragbench import __version__
from ragbench.base.errors import RagbenchError, masked, printable

# Dependencies report to no one: LangChain's tracing would send questions and passages.
QUIET = {
    "LANGSMITH_TRACING": "false",
    "LANGSMITH_TRACING_V2": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGCHAIN_TRACING": "",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "DISABLE_SAFETENSORS_CONVERSION": "1",  # transformers asks the hub to convert weights
    "ANONYMIZED_TELEMETRY": "false",
    "OTEL_SDK_DISABLED": "true",
    "SCARF_NO_ANALYTICS": "true",
}
# Name -> (module:object, help line); the module is imported when the command is called.
COMMANDS = {
    "init": ("ragbench.cli.init.command:init", "Write a commented config for your data."),
    "corpus": ("ragbench.cli.corpus:corpus", "Add, build, show and check corpora."),
    "index": ("ragbench.cli.index:index", "Build, search, evaluate and check indexes."),
    "embed": ("ragbench.cli.retrieval.embed:embed", "Encode a share of a corpus's passages."),
    "plan": ("ragbench.cli.plan:plan", "Show what a run would do, without running it."),
    "run": ("ragbench.cli.run:run", "Run or resume an experiment."),
    "watch": ("ragbench.cli.run:watch", "Print what a run under way has decided so far."),
    "prepare": ("ragbench.cli.run:prepare", "Do everything of a run before its first answer."),
    "answer": ("ragbench.cli.run:answer", "Ask the questions of one shard of a prepared run."),
    "finish": ("ragbench.cli.run:finish", "Merge the shards of a run, score and report it."),
    "import": ("ragbench.cli.importer:import_", "Turn replies from other tools into a run."),
    "score": ("ragbench.cli.run:score", "Score the records of a run again, without a model."),
    "analyze": ("ragbench.cli.analyze:analyze", "Print the results of a run."),
    "report": ("ragbench.cli.analyze:report", "Write the report of a run."),
    "compare": ("ragbench.cli.compare:compare", "Compare two runs, paired by question."),
    "power": ("ragbench.cli.power:power", "Compute how many questions detect a difference."),
    "show": ("ragbench.cli.analyze:show", "Show one question in every cell of a run."),
    "list": ("ragbench.cli.listing:list_", "List corpora, indexes, tasks, models, metrics, ..."),
    "doctor": ("ragbench.cli.doctor:doctor", "Report what is installed and what is missing."),
}
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports a command on use, so that help is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; the error for an unknown one suggests close names."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from ragbench.base.errors import near

            raise click.UsageError(f"there is no command {args[0]!r}; {near(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ragbench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Measure whether retrieval or biomedical fine-tuning helps models on medical tasks.

    Corpus cards, index recipes, configs and runs are in RAGBENCH_HOME (default: the current
    folder).
    """


def open_streams() -> None:
    """Let every message be written: where a stream is closed or its encoding knows ASCII alone.

    A file that is opened next would take the number of a closed stream, and messages would be
    written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        stream = getattr(sys, name)
        if name != "stdin" and isinstance(stream, io.TextIOWrapper):
            known = codecs.lookup(stream.encoding).name
            encoding = "utf-8" if known == "ascii" else known
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def variable_of(path: str) -> str:
    """Return the variable that sets the folder which a file is in."""
    from ragbench.base.home import cache

    return "RAGBENCH_CACHE" if path and Path(path).is_relative_to(cache()) else "RAGBENCH_HOME"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line.

    Exit codes: 0 success, 2 usage, 3 data, 4 prerequisite, 5 backend, 6 stopped at ``max_cost``.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.update(QUIET)
    debug = "--debug" in arguments
    open_streams()
    try:
        code = cli.main(arguments, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        shown = StringIO()
        error.show(shown)
        click.echo(printable(masked(shown.getvalue())), err=True, nl=False)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; finished work is kept", err=True)
        sys.exit(INTERRUPTED)
    except RagbenchError as error:
        if debug:
            raise
        click.echo(printable(str(error)), err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        place = printable(masked(str(error.filename or "")))
        click.echo(
            f"error: {error.strerror or error}\nwhere: {place}\n"
            "fix:   check that the folder exists, is writable and has free space; "
            f"{variable_of(str(error.filename or ''))} sets another folder",
            err=True,
        )
        sys.exit(3)
    except UnicodeEncodeError as error:
        if debug or error.encoding == "utf-8":
            raise
        click.echo(
            f"error: the locale's encoding ({error.encoding}) does not have {error.object!r}\n"
            "fix:   set LC_ALL=C.UTF-8 or PYTHONUTF8=1",
            err=True,
        )
        sys.exit(3)
    except ModuleNotFoundError as error:
        if debug:
            raise
        click.echo(
            f"error: the package {error.name!r} is not installed\n"
            f"fix:   pip install {error.name}; `ragbench doctor` lists all missing packages",
            err=True,
        )
        sys.exit(4)
