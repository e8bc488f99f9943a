"""boto3 as a command: boto3_cp.py boto3|crt up|down one|many BUCKET KEY PATH. `crt` is the AWS Common Runtime."""
import concurrent.futures
import os
import pathlib
import sys

import boto3
from botocore.config import Config

kind, way, count, bucket, key, path = sys.argv[1:]
config = Config(s3={"addressing_style": "path"}, max_pool_connections=16)


def pairs(lister):
    """Names of files with their keys; who lists them is made only if asked."""
    if count == "one":
        return [(path, key)]
    if way == "up":
        return [(f"{path}/{name}", f"{key}/{name}") for name in sorted(os.listdir(path))]
    pages = lister().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key + "/")
    keys = [found["Key"] for page in pages for found in page["Contents"]]
    return [(str(pathlib.Path(path, name.rsplit("/", 1)[1])), name) for name in keys]


def classic():
    client = boto3.client("s3", config=config)
    if way == "up":
        move = lambda pair: client.upload_file(pair[0], bucket, pair[1])
    else:
        move = lambda pair: client.download_file(bucket, pair[1], pair[0])
    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        list(threads.map(move, pairs(lambda: client)))


def start(manager, file, name):
    return manager.upload(file, bucket, name) if way == "up" else manager.download(bucket, name, file)


def common_runtime():
    # boto3 itself takes it for AWS's own endpoints alone, so it is asked as the AWS CLI 2 asks it.
    import botocore.session
    from s3transfer import crt

    session, endpoint = botocore.session.get_session(), os.environ["AWS_ENDPOINT_URL"]
    signer = crt.BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
    runtime = crt.create_s3_crt_client(
        region=os.environ["AWS_REGION"], crt_credentials_provider=signer,
        use_ssl=endpoint.startswith("https"), verify=os.environ.get("AWS_CA_BUNDLE"))
    told = {"region_name": os.environ["AWS_REGION"], "endpoint_url": endpoint, "config": config}
    with crt.CRTTransferManager(runtime, crt.BotocoreCRTRequestSerializer(session, told)) as manager:
        lister = lambda: session.create_client("s3", config=config)
        for move in [start(manager, *pair) for pair in pairs(lister)]:
            move.result()


classic() if kind == "boto3" else common_runtime()
