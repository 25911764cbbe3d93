"""Attacks ragbench on purpose, reproducibly: ``python scripts/attack fuzz --seed 1 --cases 500``.

``fuzz`` damages inputs, ``kill`` kills commands, ``flip`` flips bytes of finished work. Each
prints its figures by kind, and ends with exit code 1 if anything went wrong.
"""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    """Run the chosen campaign; return 0 if nothing went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign", choices=("fuzz", "kill", "flip", "work"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--only", default="", help="pattern of the kinds that are tried")
    parser.add_argument("--repeat", default="", help="fuzz: number of one case, with --only")
    parser.add_argument("--first", type=int, default=0, help="work: number of the first case")
    chosen = parser.parse_args()
    if chosen.campaign == "fuzz":
        from fuzz import campaign

        return campaign(chosen.seed, chosen.cases, chosen.only, chosen.repeat) > 0
    if chosen.campaign == "work":
        from fuzz import work

        work(chosen.seed, chosen.first, chosen.cases, chosen.only, chosen.repeat)
        return 0
    if chosen.campaign == "kill":
        from kill import campaign as kills

        return kills(chosen.seed, chosen.cases, chosen.only) > 0
    from flip import campaign as flips

    return flips(chosen.seed, chosen.cases, chosen.only) > 0


if __name__ == "__main__":
    sys.exit(main())
