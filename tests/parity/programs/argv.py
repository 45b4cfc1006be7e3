# canary: arguments with quotes, blanks, line feeds, and empty ones
# start: own
# args: ["--name", "two words", "", "it's", "say \"hi\"", "a\nb\tc", "$HOME", "*", "back\\slash", "--", "-x", "ünï", "a;b|c&d", " "]
import sys

for word in sys.argv[1:]:
    print(ascii(word))
print(open("/proc/self/cmdline", "rb").read().count(b"\0"))
