# canary: asyncio: subprocesses side by side, a server and its client, signals
import asyncio
import os
import signal
import sys


async def run(n):
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", f"print({n} * 2)", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return int(out), process.returncode


async def echo(reader, writer):
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()


async def main():
    print(await asyncio.gather(*(run(n) for n in range(5))))
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    writer.write(b"hello\n")
    print(await reader.readline())
    writer.close()
    server.close()
    heard = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, heard.set)
    os.kill(os.getpid(), signal.SIGUSR2)
    await asyncio.wait_for(heard.wait(), 20)
    print("heard")
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.05)
    except asyncio.TimeoutError:
        print("timeout")


asyncio.run(main())
