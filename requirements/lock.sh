#!/usr/bin/env bash
# Writes the three lock files: build.txt (what builds the wheel), runtime.txt (what the container installs), dev.txt
# (what .venv installs; the same versions where both name a package). Reads the package index that pip is set to.
# `requirements/lock.sh --upgrade` takes the newest versions.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=build/lock-tools
if [ ! -x $tools/bin/pip-compile ]; then
  echo "==> Installing pip-tools into $tools"
  "${PYTHON:-python3}" -m venv $tools
  $tools/bin/python -m pip install --quiet --disable-pip-version-check pip-tools==7.6.2
fi

compile() {
  local output=$1
  shift
  echo "==> $output"
  $tools/bin/pip-compile --no-config --quiet --generate-hashes --allow-unsafe \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file "$output" "$@"
}

export CUSTOM_COMPILE_COMMAND="make lock"
unset PIP_FIND_LINKS
compile requirements/build.txt "$@" --strip-extras requirements/build.in
compile requirements/runtime.txt "$@" --strip-extras pyproject.toml
# With their extras: pip before 23.3 takes a pin without them for none (pypa/pip issue 12345).
compile requirements/dev.txt "$@" --no-strip-extras --extra arrow --extra dev --extra rocksdb --extra test \
  --constraint requirements/runtime.txt pyproject.toml requirements/build.in
