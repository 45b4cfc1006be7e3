#!/bin/bash
# canary: a tool that looks for its configuration as git does: HOME, XDG_CONFIG_HOME, up from the current directory
set -eu
config=${XDG_CONFIG_HOME:-$HOME/.config}/mytool
mkdir -p "$config"
printf '[user]\n\tname = Ada\n' >"$config/config"
cp "$config/config" "$HOME/.mytoolconfig"
for file in /etc/mytoolconfig "$HOME/.mytoolconfig" "$config/config"; do
    [ -r "$file" ] && echo "found ${file#"$HOME"}" && sed -n 's/^\tname = //p' "$file"
done
cd "$(mktemp -d)"
mkdir -p work/.mytool work/deep/er
cd work/deep/er
while [ ! -d .mytool ] && [ "$PWD" != / ]; do cd ..; done
echo "top: ${PWD##*/}"
echo ~ | sed "s|^$HOME\$|tilde is HOME|"
[ "$(cd && pwd -P)" = "$(readlink -f "$HOME")" ] && echo "cd goes home"
rm -r "$config" "$HOME/.mytoolconfig"
