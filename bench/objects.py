"""What a bucket has, as JSON: objects.py BUCKET KEY one|many gives the SHA-256 of each, by name."""
import concurrent.futures
import hashlib
import json
import sys

import boto3
from botocore.config import Config

bucket, key, count = sys.argv[1:]
client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, max_pool_connections=16))


def sha256(name):
    digest = hashlib.sha256()
    for piece in client.get_object(Bucket=bucket, Key=name)["Body"].iter_chunks(1 << 20):
        digest.update(piece)
    return name.rsplit("/", 1)[-1], digest.hexdigest()


names = [key]
if count == "many":
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key + "/")
    names = [found["Key"] for page in pages for found in page["Contents"]]
with concurrent.futures.ThreadPoolExecutor(8) as threads:
    print(json.dumps(dict(sorted(threads.map(sha256, names)))))
