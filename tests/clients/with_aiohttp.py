"""A client with `aiohttp`, with many tasks. Arguments: host:port, path of the Unix socket."""
import asyncio
import sys

import aiohttp


async def ask(session, server, first):
    for n in range(first, first + 10):
        async with session.post(server + "/sums/predict", json={"input": [n, 0, 0, 0]}) as answer:
            assert answer.status == 200, await answer.text()
            assert (await answer.json())["output"] == n


async def main():
    time = aiohttp.ClientTimeout(total=20)
    tcp = aiohttp.TCPConnector(limit=50)
    unix = aiohttp.UnixConnector(path=sys.argv[2], limit=50)
    for connector, server in [(tcp, "http://" + sys.argv[1]), (unix, "http://cutter")]:
        async with aiohttp.ClientSession(connector=connector, timeout=time) as session:
            await asyncio.gather(*(ask(session, server, 100 * task) for task in range(100)))

            async def pieces():
                yield b'{"input": [1,'
                yield b" 2, 3, 4]}"

            async with session.post(server + "/sums/predict", data=pieces(), expect100=True) as answer:
                assert (await answer.json())["output"] == 10
    print("all answers are as they should be")


asyncio.run(main())
