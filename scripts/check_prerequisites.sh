#!/bin/sh
# What must be on the machine before anything is installed; says the command that brings it.
# Usage: check_prerequisites.sh [PYTHON]
python=${1:-python3}
missing=0
say() { echo "missing: $1" >&2; echo "  install it: $2" >&2; }

if ! command -v "$python" >/dev/null 2>&1; then
    say "$python (3.11 or newer)" "sudo apt-get install python3"; missing=1
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "Python 3.11 or newer ($python is $("$python" -V 2>&1))" "sudo apt-get install python3, or name one: make PYTHON=python3.12"; missing=1
elif ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    say "python3-venv" "sudo apt-get install python3-venv"; missing=1
fi
command -v git >/dev/null 2>&1 || { say "git" "sudo apt-get install git"; missing=1; }
if ! command -v bwrap >/dev/null 2>&1; then
    echo "note: bwrap is not installed, so builds and hooks run unconfined (sandbox: none)" >&2
    echo "  optional: sudo apt-get install bubblewrap" >&2
fi
exit $missing
