# A login shell keeps the PATH that it was started with. Debian's /etc/profile has just set it to the system's directories, and a
# terminal in JupyterLab would find another Python than the notebook beside it.
_lyftlearn_path=$(tr '\0' '\n' 2>/dev/null <"/proc/$$/environ" | sed -n 's/^PATH=//p' | head -n 1)
PATH=${_lyftlearn_path:-$PATH}
unset _lyftlearn_path
case :$PATH: in
    *:/opt/venv/bin:*) ;;
    *) PATH=/opt/venv/bin:$PATH ;;
esac
export PATH
