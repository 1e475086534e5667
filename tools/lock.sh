#!/usr/bin/env bash
# Renews requirements.txt and requirements-dev.txt from the ranges in pyproject.toml, and checks that every pinned package
# has a wheel for each supported Python. One version of a package for all of them: figures must not depend on the Python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-/usr/bin/python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet uv
uv() { UV_PYTHON_DOWNLOADS=never UV_CUSTOM_COMPILE_COMMAND='make lock' "$scratch/venv/bin/uv" pip "$@" --quiet --only-binary :all:; }

compile() { uv compile --universal --python-version 3.10 --fork-strategy fewest --upgrade pyproject.toml "$@"; }
compile -o requirements.txt
compile --extra dev --constraints requirements.txt -o requirements-dev.txt

for version in 3.10 3.11 3.12; do
  for platform in x86_64-manylinux_2_28 aarch64-manylinux_2_28; do # glibc 2.28: older than any system we support
    uv install --dry-run --target "$scratch/none" -r requirements-dev.txt --python-version "$version" --python-platform "$platform"
    echo "Python $version, $platform: all wheels are there"
  done
done
