"""Which pages of an image's files a start really touches: counted by the kernel, on a file system of its own whose cache nobody else uses.

The image is unpacked onto a loop device that reads nothing ahead (FUSE does, so a lazy pull may fetch a little more), mounted anew, so that
no page of it is in memory, and used as the lower layer of the start's root. What is in memory afterwards was touched: mincore(2) tells.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.cli.footprint.layers import File, Image

PAGE = mmap.PAGESIZE


class Loop:
    """An image's files on a loop device. Needs root, in a mount namespace of its own."""

    def __init__(self, image: Any, directory: Path) -> None:
        self.device_file, self.lower, self.root = directory / "image.ext4", directory / "lower", directory / "root"
        for each in (self.lower, self.root, directory / "upper"):
            each.mkdir(parents=True)
        self.directory = directory
        size = image.attrs["Size"] * 3 // 2 + (200 << 20)
        with self.device_file.open("wb") as made:
            made.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-N", "200000", str(self.device_file)], check=True)
        self._mount("rw")
        container = image.client.containers.create(image.id, ["true"], network_mode="none")
        try:
            with subprocess.Popen(["tar", "-x", "--xattrs", "-C", str(self.lower)], stdin=subprocess.PIPE) as tar:
                assert tar.stdin
                for chunk in container.export():
                    tar.stdin.write(chunk)
        finally:
            container.remove()
        subprocess.run(["umount", str(self.lower)], check=True)

    def _mount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"loop,{how}", str(self.device_file), str(self.lower)], check=True)
        device = os.stat(self.lower).st_dev
        Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/bdi/read_ahead_kb").write_text("0")

    def touched(self, image: Image, start: Callable[[Path], None]) -> dict[str, list[tuple[int, int]]]:
        """Run `start` with a root to write to, and give for each file of the image the ranges of bytes that it touched."""
        self._mount("ro")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(self.directory / "upper")], check=True)
        try:
            for part in ("files", "work"):
                (self.directory / "upper" / part).mkdir()
            layers = f"lowerdir={self.lower},upperdir={self.directory}/upper/files,workdir={self.directory}/upper/work"
            subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)], check=True)
            try:
                start(self.root)
            finally:
                subprocess.run(["umount", "--lazy", str(self.root)], check=True)
            return {path: ranges for path, file in image.files.items() if (ranges := self._resident(file))}
        finally:
            subprocess.run(["umount", str(self.directory / "upper")], check=True)
            subprocess.run(["umount", "--lazy", str(self.lower)], check=True)

    def _resident(self, file: File) -> list[tuple[int, int]]:
        """The pages of a file that are in memory, as ranges of bytes."""
        place = Path(str(self.lower) + file.path)
        if not file.size or not place.is_file() or place.is_symlink():
            return []
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        libc.munmap.argtypes, libc.mincore.argtypes = (
            [ctypes.c_void_p, ctypes.c_size_t],
            [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p],
        )
        vector = ctypes.create_string_buffer(-(-file.size // PAGE))
        descriptor = os.open(place, os.O_RDONLY)
        try:
            address = libc.mmap(None, file.size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
            if libc.mincore(address, file.size, vector):
                raise OSError(ctypes.get_errno(), f"mincore {place}")
            libc.munmap(address, file.size)
        finally:
            os.close(descriptor)
        return [(number * PAGE, min((number + 1) * PAGE, file.size)) for number, each in enumerate(vector.raw) if each & 1]
