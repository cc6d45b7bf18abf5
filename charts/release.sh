#!/bin/sh
# Makes a chart of the checkout one that can be published: it names the image of its release, and what it tells is true
# for whoever has the chart alone.
#
#   charts/release.sh CHART IMAGE CHARTS SOURCE TAG
#
# CHART    the chart's folder, which is changed
# IMAGE    where the image is, without a tag
# CHARTS   where the chart will be, without `oci://`
# SOURCE   the repository's address
# TAG      what the release is made of: v1.2.3
set -eu

if [ $# -ne 5 ]; then
    echo "usage: $0 CHART IMAGE CHARTS SOURCE TAG" >&2
    exit 2
fi
chart=$1 image=$2 charts=$3 source=$4 tag=$5

# Changes a file by a command of sed, and fails unless a text is in it then: a command that no longer fits changes nothing.
change() {
    sed -i "$2" "$chart/$1"
    grep -qF -- "$3" "$chart/$1" || { echo "$0: $1 has no $3" >&2; exit 1; }
}

change values.yaml "s|^  repository: .*|  repository: $image|" "repository: $image"
printf 'home: %s\nsources: [%s]\n' "$source" "$source/tree/$tag" >>"$chart/Chart.yaml"

change README.md "s|^\(. .image\.repository. . .\)\"\"|\1\"$image\"|" "\"$image\""
change README.md "s|sumu-operator charts/sumu-operator |sumu-operator oci://$charts/sumu-operator --version ${tag#v} |" "oci://$charts"
change README.md "/--set image\.repository=/d" "helm install"
change README.md "/^<!-- of a checkout -->$/,/^<!-- the end of what is of a checkout -->$/d" "## Values"
change README.md "s|](\.\./\.\./|]($source/blob/$tag/|g" "]($source/blob/$tag/"
