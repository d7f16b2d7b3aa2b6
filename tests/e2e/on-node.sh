#!/usr/bin/env bash
# `make e2e` on the one-node Kubernetes of ../shared/cluster/node.sh. Where that cannot be had, one line says why and
# nothing has failed. A node that is up already is used and stays up.
set -euo pipefail
cd "$(dirname "$0")/../.."
node=$PWD/../shared/cluster/node.sh
export SOURCE_IMAGE=registry.local/sample-source:dev BUILD_IMAGE="$node image"

not_run() { echo "make e2e is not run: $1"; exit 0; }
[ -x "$node" ] || not_run "there is no ../shared/cluster/node.sh"
[ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] || not_run "a node needs root on Debian"

"$node" apt || not_run "the packages a node needs cannot be installed"
trap '"$node" down' EXIT
eval "$(grep -m1 -o '^D=[^;]*' "$node")"  # its directory: $D, or what it takes by default
directory=$D
export KUBECONFIG=$directory/kubeconfig PATH=$directory/bin:$PATH
said=$("$node" up | tee >(cat >&2)) || case $said in
  "already up"*)
    if kubectl get --raw /readyz --request-timeout=5s >/dev/null 2>&1; then
      trap - EXIT
    else  # its processes ended without a `down`
      "$node" down && "$node" up || not_run "the node does not come up"
    fi ;;
  *) not_run "the node does not come up" ;;
esac

"$node" image . "$SOURCE_IMAGE" || not_run "the image cannot be built"
metacontroller=${METACONTROLLER:-$(command -v metacontroller || true)}
if [ -n "$metacontroller" ]; then
  root=$(mktemp -d)
  cp "$metacontroller" "$root/metacontroller"
  export METACONTROLLER_IMAGE=registry.local/metacontroller:4.17
  "$node" import-dir "$root" "$METACONTROLLER_IMAGE" --entrypoint /metacontroller
  rm -r "$root"
fi
make e2e
