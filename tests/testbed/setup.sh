#!/usr/bin/env bash
# Makes the programs of the testbed: the Kubernetes API server, etcd, kubectl and Helm from the pinned Go modules,
# a Python environment with the AWS emulator and boto3 from the hash-pinned requirements, and the two JavaScript
# packages of the examples in docs/protocol.md from the lock with their hashes.
#
# Everything goes to ${SUMU_CACHE:-$HOME/.cache/sumu}/testbed and is left alone while its pins stay the same.
# A run that was cut short leaves nothing that a later run would take for complete: each program is renamed
# into place, and the links `venv` and `node` and the stamps of `bin` are written last.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${SUMU_CACHE:-$HOME/.cache/sumu}/testbed
mkdir -p "$cache"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
need() { command -v "$1" >/dev/null || die "$1 is not there; $2"; }
digest() { cat "$@" | sha256sum | cut -c1-16; }

# Two runs at once (a demo beside the tests) must not write the same files.
exec 9>"$cache/.lock"
flock 9

kubernetes_programs() {
    local bin=$cache/bin stamp version flags='-s -w' package
    if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
        for program in kube-apiserver etcd kubectl; do
            [ -x "$KUBEBUILDER_ASSETS/$program" ] || die "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS has no $program"
        done
        return
    fi
    stamp=$(digest "$here/go.mod" "$here/go.sum" "${BASH_SOURCE[0]}")
    if [ "$(cat "$bin/.stamp" 2>/dev/null)" = "$stamp" ]; then return; fi

    need go "install Go 1.26, or point KUBEBUILDER_ASSETS at a folder with kube-apiserver, etcd and kubectl"
    rm -f "$bin/.stamp"
    # Without it kubectl refuses to tell its version, and the API server serves as one of no version.
    version=$(version_of "$here" k8s.io/kubernetes)
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $package.gitVersion=$version"
    done
    say "building etcd, kubectl and kube-apiserver (about five minutes the first time)"
    build etcd "$here" go.etcd.io/etcd/server/v3 "$flags"
    build kubectl "$here" k8s.io/kubernetes/cmd/kubectl "$flags"
    build kube-apiserver "$here" k8s.io/kubernetes/cmd/kube-apiserver "$flags"
    echo "$stamp" >"$bin/.stamp"
}

helm_program() {
    local bin=$cache/bin module=$here/helm stamp version flags='-s -w' package
    stamp=$(digest "$module/go.mod" "$module/go.sum" "${BASH_SOURCE[0]}")
    if [ "$(cat "$bin/.stamp-helm" 2>/dev/null)" = "$stamp" ]; then return; fi

    need go "install Go 1.26"
    rm -f "$bin/.stamp-helm"
    version=$(version_of "$module" helm.sh/helm/v3)
    flags+=" -X helm.sh/helm/v3/internal/version.version=$version"
    # The version of Kubernetes that it renders for when it knows no cluster: an ancient one otherwise. It is the
    # second number of its libraries.
    version=$(version_of "$module" k8s.io/client-go)
    version=${version#v0.}
    for package in pkg/lint/rules pkg/chartutil; do
        flags+=" -X helm.sh/helm/v3/$package.k8sVersionMajor=1 -X helm.sh/helm/v3/$package.k8sVersionMinor=${version%%.*}"
    done
    say "building helm (about two minutes the first time)"
    build helm "$module" helm.sh/helm/v3/cmd/helm "$flags"
    echo "$stamp" >"$bin/.stamp-helm"
}

version_of() { (cd "$1" && go list -mod=readonly -m -f '{{.Version}}' "$2"); }

build() {
    mkdir -p "$cache/bin"
    (cd "$2" && go build -mod=readonly -trimpath -ldflags="$4" -o "$cache/bin/.$1.new" "$3")
    mv "$cache/bin/.$1.new" "$cache/bin/$1"
}

python_environment() {
    local name
    need python3 "install Python 3.11 or newer with its venv module"
    # The version is part of the key: an environment does not survive another Python.
    name=venv-$( (cat "$here/requirements.txt"; python3 -V) | digest)
    if [ "$(readlink "$cache/venv" 2>/dev/null)" = "$name" ] && [ -x "$cache/venv/bin/python" ]; then return; fi

    say "making the Python environment"
    rm -rf "$cache/${name:?}"
    python3 -m venv "$cache/$name"
    "$cache/$name/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        --requirement "$here/requirements.txt"
    "$cache/$name/bin/python" -m pip check --quiet
    rm -rf "$cache/.venv.new"
    ln -s "$name" "$cache/.venv.new"
    mv -T "$cache/.venv.new" "$cache/venv"
    find "$cache" -maxdepth 1 -name 'venv-*' ! -name "$name" -exec rm -rf {} +
}

node_environment() {
    local name
    need node "install Node 20 or newer"
    need npm "it comes with Node"
    name=node-$( (cat "$here/node/package.json" "$here/node/package-lock.json"; node -v) | digest)
    if [ "$(readlink "$cache/node" 2>/dev/null)" = "$name" ] && [ -d "$cache/node/node_modules" ]; then return; fi

    say "installing the JavaScript packages of the examples"
    rm -rf "$cache/${name:?}"
    mkdir "$cache/$name"
    cp "$here/node/package.json" "$here/node/package-lock.json" "$cache/$name"
    # No package may run a script of its own here.
    (cd "$cache/$name" && npm ci --ignore-scripts --no-audit --no-fund --silent)
    rm -rf "$cache/.node.new"
    ln -s "$name" "$cache/.node.new"
    mv -T "$cache/.node.new" "$cache/node"
    find "$cache" -maxdepth 1 -name 'node-*' ! -name "$name" -exec rm -rf {} +
}

# A module of its own: it shares no dependency with Kubernetes.
linter() {
    local stamp
    stamp=$(digest "$here/actionlint/go.mod" "$here/actionlint/go.sum")
    if [ "$(cat "$cache/bin/.actionlint" 2>/dev/null)" = "$stamp" ]; then return; fi

    need go "install Go 1.26"
    mkdir -p "$cache/bin"
    say "building actionlint"
    (cd "$here/actionlint" && go build -mod=readonly -trimpath -ldflags='-s -w' -o "$cache/bin/.actionlint.new" \
        github.com/rhysd/actionlint/cmd/actionlint)
    mv "$cache/bin/.actionlint.new" "$cache/bin/actionlint"
    echo "$stamp" >"$cache/bin/.actionlint"
}

kubernetes_programs
helm_program
linter
python_environment
node_environment
