#!/usr/bin/env bash
# Run `make e2e` on the one-node Kubernetes of ../shared/cluster/node.sh. If the node cannot start, print the reason and
# exit with 0. If the node runs already, use it and leave it running.
set -euo pipefail
cd "$(dirname "$0")/../.."
node=$PWD/../shared/cluster/node.sh
export SOURCE_IMAGE=registry.local/sample-source:dev BUILD_IMAGE="$node image"

not_run() { echo "skipped make e2e: $1"; exit 0; }
[ -x "$node" ] || not_run "../shared/cluster/node.sh does not exist"
[ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] || not_run "the node needs Linux, root and Debian"

"$node" apt || not_run "the packages for the node could not be installed"
trap '"$node" down' EXIT
eval "$(grep -m1 -o '^D=[^;]*' "$node")"  # the node's directory: $D or its default
directory=$D
export KUBECONFIG=$directory/kubeconfig PATH=$directory/bin:$PATH
said=$("$node" up | tee >(cat >&2)) || case $said in
  "already up"*)
    if kubectl get --raw /readyz --request-timeout=5s >/dev/null 2>&1; then
      trap - EXIT
    else  # its processes ended without a `down`
      "$node" down && "$node" up || not_run "the node did not start"
    fi ;;
  *) not_run "the node did not start" ;;
esac

"$node" image . "$SOURCE_IMAGE" || not_run "the image could not be built"
export REDIS_IMAGE=registry.local/redis:7
"$node" debian "$REDIS_IMAGE" redis-server || { echo "no image with Redis, so its test is skipped" >&2; unset REDIS_IMAGE; }
metacontroller=${METACONTROLLER:-$(command -v metacontroller || true)}
if [ -n "$metacontroller" ]; then
  root=$(mktemp -d)
  mkdir -p "$root/usr/bin" && cp "$metacontroller" "$root/usr/bin/metacontroller"
  export METACONTROLLER_IMAGE=registry.local/metacontroller:4.17
  "$node" import-dir "$root" "$METACONTROLLER_IMAGE" --entrypoint /usr/bin/metacontroller
  rm -r "$root"
fi
make e2e
