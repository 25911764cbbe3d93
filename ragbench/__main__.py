"""Run the command line as ``python -m ragbench``."""

from ragbench.cli.main import main

if __name__ == "__main__":
    main()
