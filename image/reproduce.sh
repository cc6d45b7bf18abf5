#!/bin/sh
# Builds what the image has of the committed HEAD twice, in two checkouts, target folders and CARGO_HOMEs that have nothing in
# common, and fails, naming what differs, unless both are the same to the byte and tell nothing of where they were built.
#
#   image/reproduce.sh >codeSha256.yaml    the packages' hashes, for this machine's processor
#
# Takes two release builds from scratch and 3 GB in $TMPDIR. What differs is kept there.
set -eu

cd "$(dirname "$0")/.."
target=$(rustc --print host-tuple)
case $target in
aarch64-*) architecture=arm64 ;;
*) architecture=x86_64 ;;
esac
commit=$(git rev-parse HEAD)
work=$(mktemp -d)
# Nobody may write what is laid out, not even to remove it.
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
crates=$(cd "${CARGO_HOME:-$HOME/.cargo}" && pwd -P)

# Builds in a checkout, and lays out what is in the image below $work.
build() {
    checkout=$1 to=$2
    mkdir -p "$checkout"
    git archive "$commit" | tar -x -C "$checkout"
    "$checkout/image/build.sh" >&2
    built=$CARGO_TARGET_DIR/$target/release
    "$checkout/image/layout.sh" "$built/sumu-operator" "$built/sumu-operator" "$work/$to" "$architecture=$built" >&2
    mkdir "$work/$to-executables"
    for name in sumu-operator authorizer routes pusher watchdog; do mv "$built/$name" "$work/$to-executables"; done
    rm -rf "$CARGO_TARGET_DIR"
}

(
    export CARGO_TARGET_DIR="$work/target"
    build "$work/checkout" first
)
# Where everything is when nobody says otherwise, and crates that are unpacked anew.
mkdir -p "$crates/registry/cache" "$crates/registry/index" "$work/home of another/registry"
for same in registry/cache registry/index config.toml; do
    if [ -e "$crates/$same" ]; then ln -s "$crates/$same" "$work/home of another/$same"; fi
done
(
    export CARGO_HOME="$work/home of another" CARGO_TARGET_DIR="$work/home of another/source/target"
    build "$work/home of another/source" second
)

failed=
for path in "$work"/first/usr/local/bin/* "$work"/first/functions/*/*.zip; do
    name=${path#"$work/first/"}
    if ! cmp -s "$path" "$work/second/$name"; then
        echo "$0: $name is another one the second time" >&2
        failed=yes
    fi
done
for path in "$work"/*-executables/*; do
    for place in "$work" "$crates"; do
        if grep --quiet --text --fixed-strings "$place" "$path"; then
            echo "$0: $(basename "$path") names $place, where it was built" >&2
            failed=yes
        fi
    done
done
if [ -n "$failed" ]; then
    echo "$0: see $work" >&2
    trap - EXIT
    exit 1
fi
cat "$work/first/functions/$architecture/codeSha256.yaml"
