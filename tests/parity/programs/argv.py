# canary: arguments with quotes, blanks and what a shell would take for its own
# start: own
# args: ["--name", "two words", "it's", "say \"hi\"", "a\tb", "$HOME", "*", "back\\slash", "--", "-x", "ünï", "a;b|c&d", "$(id)"]
import sys

for word in sys.argv[1:]:
    print(ascii(word))
print(open("/proc/self/cmdline", "rb").read().count(b"\0"))
