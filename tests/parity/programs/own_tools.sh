#!/bin/bash
# canary: programs that are made at run time and run from TMPDIR and HOME, as compilers, JNI and ctypes do it
set -u
for directory in "$(mktemp -d)" "$HOME/bin-$$"; do
    mkdir -p "$directory"
    printf '#!/bin/sh\necho "made: $1"\n' >"$directory/mytool"
    chmod +x "$directory/mytool"
    PATH=$directory:$PATH mytool here
    cp /bin/true "$directory/true" && "$directory/true"
    echo "a program of one's own: $?"
    cp "$(python -c 'import _ctypes; print(_ctypes.__file__)')" "$directory/lib.so"
    python -c 'import ctypes, sys; print(bool(ctypes.CDLL(sys.argv[1])))' "$directory/lib.so"
    rm -r "$directory"
done
