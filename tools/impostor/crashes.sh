#!/bin/sh
# Impostor, for tests of rollouts: a release whose edge ends by itself a moment after its start. The real program stands beside it.
case "$*" in *--check*|*--print-config*|*--version*) exec "${0%/*}/corelane-real" "$@" ;; esac
echo 'level=error event=impostor text="this release crashes at its start"' >&2
exit 1
