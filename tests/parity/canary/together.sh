#!/bin/bash
# Runs programs in the container that this is started in, two at once, each a process of its own with nothing on stdin, and packs what each
# wrote and its exit code into one archive. Their names are in the file `together.list` beside this one.     together.sh ARCHIVE
# Not for sh: dash takes variables away whose names a shell cannot hold.
set -u
here=${0%/*}
if [ "$1" = --one ]; then
    into=$2/$3
    case $3 in
    *.py) set -- python "$here/$3" ;;
    *) set -- bash "$here/$3" ;;
    esac
    timeout --foreground 600 "$@" >"$into.stdout" 2>"$into.stderr"
    echo "$?" >"$into.code"
    exit 0
fi
archive=$1
work=$(mktemp -d)
xargs -a "$here/together.list" -P 2 -n 1 bash "$0" --one "$work" </dev/null
tar -C "$work" -cf "$archive.part" . && mv "$archive.part" "$archive"
rm -r "$work"
