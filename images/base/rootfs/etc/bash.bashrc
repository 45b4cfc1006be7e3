# Interactive bash: JupyterLab's terminals, `docker exec -it` and `kubectl exec -it`.
[ -n "${PS1:-}" ] || return

# A shell that the container runtime put beside the program (its parent is process 0) has only the image's variables. It gets those that the
# entrypoint gave to the program: the kernel shows them to the program's own user, and to nobody else. Variables whose names a
# shell cannot hold stay out; `lyftlearn-entrypoint COMMAND` has them too.
_lyftlearn_join() {
    local pid pair name
    for pid in $(cd /proc && printf '%s\n' [0-9]* | sort -n); do
        [ "$(readlink "/proc/$pid/ns/mnt")" = "$(readlink /proc/self/ns/mnt)" ] || continue # another container of the pod
        case $(cat "/proc/$pid/comm" 2>/dev/null) in tini | docker-init) continue ;; esac
        grep -qz '^LYFTLEARN_CONTEXT=' "/proc/$pid/environ" 2>/dev/null || continue
        while IFS= read -r -d '' pair; do
            name=${pair%%=*}
            case $name in
                '' | [0-9]* | *[!A-Za-z0-9_]*) ;;
                _ | PWD | OLDPWD | SHLVL | SHELLOPTS | BASHOPTS | BASH_* | UID | EUID | PPID | TERM | LINES | COLUMNS) ;;
                *) export "$name=${pair#*=}" ;;
            esac
        done <"/proc/$pid/environ"
        return
    done
}
if [ "$PPID" = 0 ]; then _lyftlearn_join; fi
unset -f _lyftlearn_join

shopt -s checkwinsize
# \u would be "I have no name!" for a uid without a passwd entry.
PS1='${USER:-\u}@\h:\w\$ '
