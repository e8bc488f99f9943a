"""What one PUT takes: bare_put.py BUCKET KEY gives the seconds of 100, as JSON. They are signed before, and
sent one after the other on one connection."""
import http.client
import json
import os
import ssl
import sys
import time
import urllib.parse

import boto3
from botocore.config import Config

bucket, key = sys.argv[1:]
client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"))
place = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
if place.scheme == "https":
    trust = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    connection = http.client.HTTPSConnection(place.hostname, place.port, context=trust)
else:
    connection = http.client.HTTPConnection(place.hostname, place.port)
took = []
for n in range(101):
    url = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": f"{key}/{n}"})
    begun = time.perf_counter()
    connection.request("PUT", url.removeprefix(os.environ["AWS_ENDPOINT_URL"]), b"x")
    answer = connection.getresponse()
    answer.read()
    took.append(time.perf_counter() - begun)
    if answer.status != 200:
        raise SystemExit(f"a bare PUT was answered with {answer.status}")
# The first one is the one that connects.
print(json.dumps(took[1:]))
