"""obstore as a command: obstore_cp.py up|down one|many BUCKET KEY PATH. Files of a directory go 64 at a time."""
import asyncio
import os
import pathlib
import sys

import obstore
from obstore.store import S3Store

way, count, bucket, key, path = sys.argv[1:]
store = S3Store(bucket, endpoint=os.environ["AWS_ENDPOINT_URL"], region=os.environ["AWS_REGION"],
                virtual_hosted_style_request=False, client_options={"allow_http": True, "timeout": "600s"})


async def each(names, do):
    places = asyncio.Semaphore(64)

    async def one(name):
        async with places:
            await do(name)

    await asyncio.gather(*map(one, names))


async def put(name):
    await obstore.put_async(store, f"{key}/{name}", pathlib.Path(path, name).read_bytes())


async def get(name):
    answer = await obstore.get_async(store, name)
    pathlib.Path(path, name.rsplit("/", 1)[1]).write_bytes(await answer.bytes_async())


if (way, count) == ("up", "one"):
    obstore.put(store, key, pathlib.Path(path), chunk_size=8 << 20)
elif (way, count) == ("down", "one"):
    with open(path, "wb") as file:
        for piece in obstore.get(store, key).stream(min_chunk_size=1 << 20):
            file.write(piece)
elif way == "up":
    asyncio.run(each(sorted(os.listdir(path)), put))
else:
    names = [item["path"] for page in obstore.list(store, key + "/") for item in page]
    asyncio.run(each(names, get))
