#!/bin/sh
# Builds the operator and the functions as they are shipped: the same commit gives the same bytes wherever it is built, by the
# same Rust and the same C compiler, and no byte tells where that was.
#
#   image/build.sh [TARGET...]    in Rust's words; this machine's own when none is named
#
# They are in $CARGO_TARGET_DIR/TARGET/release then.
#
# Always for a named target: Cargo puts that into the names of symbols, and what `make bench` builds stays beside it.
# Always all of them together: what Cargo builds of a dependency is what all that use it want.
set -eu

cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- "$(rustc --print host-tuple)"

# As Cargo and the compilers write them, so that they are found in what is built.
CARGO_HOME=$(cd "${CARGO_HOME:-$HOME/.cargo}" && pwd -P)
mkdir -p "${CARGO_TARGET_DIR:-target}"
CARGO_TARGET_DIR=$(cd "${CARGO_TARGET_DIR:-target}" && pwd -P)
export CARGO_HOME CARGO_TARGET_DIR CARGO_BUILD_BUILD_DIR="$CARGO_TARGET_DIR"

targets=
for target in "$@"; do targets="$targets --target $target"; done
# shellcheck disable=SC2086 # no target has a space in its name
cargo fetch --locked --quiet $targets

# Not RUSTFLAGS, which ends a flag at a space.
flags=
remap() { flags="$flags${flags:+$(printf '\037')}--remap-path-prefix=$1=$2"; }
# Of those that fit the last one wins, and the target folder may be in the checkout.
remap "$(pwd -P)" /sumu
remap "$CARGO_TARGET_DIR" /sumu/target
# The folder of a registry is named after where the crates come from, a mirror maybe.
for registry in "$CARGO_HOME"/registry/src/*; do remap "$registry" /crates; done
# What a toolchain says by itself when it has no source of the standard library.
remap "$(rustc --print sysroot)/lib/rustlib/src/rust" "/rustc/$(rustc -vV | sed -n 's/^commit-hash: //p')"
# Else it is Rust's own linker or the system's, depending on whether Cargo was told a name, as in the Dockerfile.
export CARGO_ENCODED_RUSTFLAGS="$flags$(printf '\037')-Clinker-flavor=gcc"

# shellcheck disable=SC2086
exec cargo build --release --locked --package sumu-operator --package sumu-lambdas --bins $targets
