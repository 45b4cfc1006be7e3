# canary: modes of what is made, and what the umask does to it
import os
import stat
import subprocess
import tempfile

mask = os.umask(0o022)
os.umask(mask)
print("umask", oct(mask))
with tempfile.TemporaryDirectory() as directory:
    os.chdir(directory)
    open("plain", "w").close()
    os.mkdir("directory")
    os.close(os.open("open", os.O_CREAT | os.O_WRONLY, 0o777))
    subprocess.run("touch shell; mkdir -p a/b; cp plain copy; umask 077; touch private", shell=True, check=True)
    for name in sorted(os.listdir(".")):
        found = os.stat(name)
        print(name, oct(stat.S_IMODE(found.st_mode)), found.st_uid == os.geteuid())
    os.symlink("plain", "link")
    os.link("plain", "hard")
    os.chmod("plain", 0o600)
    print(oct(stat.S_IMODE(os.stat("hard").st_mode)), os.readlink("link"), os.stat("plain").st_nlink)
