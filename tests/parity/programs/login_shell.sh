#!/bin/bash
# canary: login shells, one in another, as cron jobs, ssh and JupyterLab's terminals have them: PATH stays
bash -lc 'command -v python pip jupyter bash; echo "$SCREENING_GREETING"'
bash -lc "bash -lc 'python -c \"import sys, numpy; print(sys.prefix)\"'"
sh -lc 'command -v python'
sh -l <<'END'
python -c 'import os; print(len([name for name in os.environ if name.startswith("SCREENING")]))'
END
bash -lc 'shopt -q login_shell && echo login; echo "$-" | grep -c i; umask; pwd' | sed "s|^$PWD\$|where I was|"
bash -ic 'command -v python; alias | wc -l' 2>/dev/null </dev/null
[ "$(bash -lc 'echo $PATH')" = "$PATH" ] && echo "PATH is the same"
PATH=/opt/mine:$PATH bash -lc 'echo "${PATH%%:*}"'
