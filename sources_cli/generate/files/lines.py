"""Writes a line per second to each caller on port 8000, to try the kind on this machine."""

import asyncio
from itertools import count


async def write_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for n in count():
        writer.write(f"line {n}\n".encode())
        await writer.drain()
        await asyncio.sleep(1)


async def main() -> None:
    async with await asyncio.start_server(write_lines, "127.0.0.1", 8000) as server:
        await server.serve_forever()


asyncio.run(main())
