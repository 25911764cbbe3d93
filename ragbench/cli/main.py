"""``ragbench``: the group of commands, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from ragbench import __version__
from ragbench.base.errors import RagbenchError

# Name -> (module:object, help line); the module is imported when the command is called.
COMMANDS = {
    "corpus": ("ragbench.cli.corpus:corpus", "Add, build, show and check corpora."),
    "index": ("ragbench.cli.index:index", "Build, search, judge and check indexes."),
    "plan": ("ragbench.cli.plan:plan", "Show what a run would do; nothing runs."),
    "run": ("ragbench.cli.run:run", "Run an experiment, or go on with it."),
    "import": ("ragbench.cli.importer:import_", "Turn replies from elsewhere into a run."),
    "score": ("ragbench.cli.run:score", "Score a run's records again; needs no model."),
    "analyze": ("ragbench.cli.analyze:analyze", "Print a run's figures."),
    "report": ("ragbench.cli.analyze:report", "Write a run's report."),
    "compare": ("ragbench.cli.compare:compare", "Compare the cells of two runs, paired."),
    "power": ("ragbench.cli.power:power", "Tell how many questions see a difference."),
    "show": ("ragbench.cli.analyze:show", "Show one question of a run in every cell."),
    "list": ("ragbench.cli.listing:list_", "List corpora, indexes, tasks, models, metrics, ..."),
    "doctor": ("ragbench.cli.doctor:doctor", "Tell what is installed and what is missing."),
}
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported on use, so that help answers at once."""

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
        """Find the command of the arguments; near names are offered for an unknown one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from ragbench.base.errors import near

            raise click.UsageError(f"there is no command {args[0]!r}; {near(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ragbench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Ask whether retrieval, or biomedical fine-tuning, helps a model on a medical task.

    Cards, recipes, configs and runs lie in RAGBENCH_HOME (the current folder by default).
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 0, or 2 usage, 3 data, 4 prerequisite, 5 backend."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # GNU OpenMP's idle threads spin long by default, which makes a busy machine several times
    # slower; a short spin keeps an idle one as fast (docs/performance.md).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    debug = "--debug" in arguments
    try:
        code = cli.main(arguments, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what was finished is kept", err=True)
        sys.exit(INTERRUPTED)
    except RagbenchError as error:
        if debug:
            raise
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        click.echo(
            f"error: {error.strerror or error}\nwhere: {error.filename or ''}\n"
            "fix:   see that the place is there, is yours to write in and has room; RAGBENCH_HOME "
            "names another",
            err=True,
        )
        sys.exit(3)
    except ModuleNotFoundError as error:
        if debug:
            raise
        click.echo(
            f"error: the package {error.name!r} is not installed\n"
            f"fix:   pip install {error.name}; `ragbench doctor` lists all that is missing",
            err=True,
        )
        sys.exit(4)
