#!/bin/sh
# Puts an empty program in the place of each of ours, so that all that they depend on can be built, and cached, before
# anything of ours is copied. Run where the manifests are.
set -eu

library() { mkdir -p "$1/src" && : >"$1/src/lib.rs"; }
program() { mkdir -p "$(dirname "$1")" && echo 'fn main() {}' >"$1"; }

for package in operator lambdas lambdas/contract tests; do library "$package"; done
program operator/src/main.rs
for function in authorizer routes pusher watchdog; do program "lambdas/src/bin/$function.rs"; done
program lambdas/benches/functions/main.rs
for tool in gateway.rs sweep.rs demo/main.rs; do program "tests/src/bin/$tool"; done
