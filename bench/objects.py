"""What a bucket has, as JSON: objects.py BUCKET KEY one|many|tags|marks.

`one` and `many` give the SHA-256 of each by name, `tags` the ETag of each, and `marks` the length of one
object and the first eight bytes of each GiB of it.
"""
import concurrent.futures
import hashlib
import json
import sys

import boto3
from botocore.config import Config

bucket, key, what = sys.argv[1:]
client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, max_pool_connections=16))


def listed():
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key + "/")
    return [found for page in pages for found in page["Contents"]]


def short(name):
    return name.rsplit("/", 1)[-1]


def sha256(name):
    digest = hashlib.sha256()
    for piece in client.get_object(Bucket=bucket, Key=name)["Body"].iter_chunks(1 << 20):
        digest.update(piece)
    return short(name), digest.hexdigest()


def sums():
    names = [key] if what == "one" else [found["Key"] for found in listed()]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        return dict(sorted(threads.map(sha256, names)))


def marks():
    length = client.head_object(Bucket=bucket, Key=key)["ContentLength"]
    begins = (f"bytes={at}-{at + 7}" for at in range(0, length, 1 << 30))
    found = (client.get_object(Bucket=bucket, Key=key, Range=begin)["Body"].read() for begin in begins)
    return [length, *(mark.hex() for mark in found)]


if what == "tags":
    told = {short(found["Key"]): found["ETag"].strip('"') for found in listed()}
else:
    told = marks() if what == "marks" else sums()
print(json.dumps(told))
