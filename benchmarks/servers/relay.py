"""Puts distance before a server of this machine: what goes through it takes longer, and is no narrower."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Relay:
    """Passes connections on to a port of this machine. Each byte comes half of `latency` (seconds) later, a connection one whole."""

    def __init__(self, upstream: int) -> None:
        self.latency = 0.0
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        ready: list[int] = []
        there = threading.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
            ready.append(server.sockets[0].getsockname()[1])
            there.set()
            await server.serve_forever()

        threading.Thread(target=lambda: self._loop.run_until_complete(serve()), daemon=True).start()
        there.wait(10)
        self.port = ready[0]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.latency)
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pass(reader, ours), self._pass(theirs, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Latency, not bandwidth: what has come waits half a round trip, while more may come. 8 MiB may be on their way."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(128)

        async def read() -> None:
            data = b"x"
            while data:
                with contextlib.suppress(OSError):
                    data = await reader.read(1 << 16)
                await waiting.put((self._loop.time() + self.latency / 2, data))

        reading = asyncio.create_task(read())
        try:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(due - self._loop.time(), 0))
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            reading.cancel()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()
