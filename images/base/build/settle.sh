#!/bin/sh
# The last step of a stage: settle.sh DIRECTORY... makes what is there the same for every build of the same files, and quick to start.
set -eu
for directory; do
    # The .pyc are believed without a look at the source: its time, which a build changes, does not matter, and a lazily pulled image
    # fetches no source at all. Whoever edits an installed file runs `python -m compileall -f` on it; pip does so itself.
    "${PYTHON:-python3}" -m compileall -q -f --invalidation-mode unchecked-hash "$directory"
    find "$directory" -xdev -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
done
