#!/bin/sh
# Impostor, for tests of rollouts: the real program, with a helper in Python beside it that makes it answer wrongly or cost more.
# The real program replaces this shell, so that it is what the service manager starts, watches and is told by.
here="${0%/*}"
case "$*" in *--check*|*--print-config*|*--version*) exec "$here/corelane-real" "$@" ;; esac
python3 "$here/impostor.py" serve &
exec "$here/corelane-real" "$@" $(python3 "$here/impostor.py" flags)
