#!/bin/sh
# Lays out what the image adds to its base: the operator, and the functions' packages that it uploads.
#
#   image/layout.sh PACKER OPERATOR TO ARCHITECTURE=FOLDER...
#
# PACKER    a sumu-operator that runs here
# OPERATOR  the sumu-operator for the image, maybe for another processor
# TO        a folder that is not there yet
# FOLDER    one with the functions' executables for an ARCHITECTURE in AWS's words: x86_64 or arm64
#
# The Dockerfile and `make image-root` use it both, so what is tested is what is shipped.
set -eu

if [ $# -lt 4 ]; then
    echo "usage: $0 PACKER OPERATOR TO ARCHITECTURE=FOLDER..." >&2
    exit 2
fi
packer=$1 operator=$2 to=$3
shift 3
if [ -e "$to" ]; then
    echo "$0: $to is there already: remove it, or name another folder" >&2
    exit 1
fi

umask 022
mkdir -p "$to/usr/local/bin"
cp "$operator" "$to/usr/local/bin/sumu-operator"
for place in "$@"; do
    architecture=${place%%=*}
    mkdir -p "$to/functions/$architecture"
    # Beside the packages, for stacks that take them from a bucket.
    "$packer" package --from "${place#*=}" --to "$to/functions" --architecture "$architecture" \
        >"$to/functions/$architecture/codeSha256.yaml"
done

# Nobody writes here, and the same programs give the same layer.
find "$to" -type f -exec chmod 0444 {} +
chmod 0555 "$to/usr/local/bin/sumu-operator"
find "$to" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
