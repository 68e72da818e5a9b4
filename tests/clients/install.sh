#!/usr/bin/env bash
# Installs the clients of package-lock.json, exactly those, into a folder and says in one line of TAP
# what came of it. Where they can't be had it is a test skipped; a lock file that does not fit, or
# packages that are not what it says, is a failure.
#
#   install.sh FOLDER           leaves FOLDER/installed when they are there
set -u
folder=$(realpath -m "$1")
cd "$(dirname "$0")" || exit 1
needs_node="18.15" # the first whose test runner writes TAP when asked
seconds=180

skip() {
    echo "ok 1 - npm ci # SKIP $*"
    exit 0
}

echo 1..1
command -v node >/dev/null 2>&1 || skip "node is not installed"
command -v npm >/dev/null 2>&1 || skip "npm is not installed"
version=$(node --version)
printf '%s\n' "v$needs_node" "$version" | sort -VC || skip "node $version is older than $needs_node"
if cmp -s package-lock.json "$folder/installed"; then
    echo "ok 1 - npm ci # has been done"
    exit 0
fi

mkdir -p "$folder"
rm -f "$folder/installed"
cp package.json package-lock.json "$folder/"
log=$(cd "$folder" && timeout $seconds npm ci --ignore-scripts --no-audit --no-fund --no-progress \
    --fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=30000 2>&1)
status=$?
if [ $status -eq 0 ]; then
    cp package-lock.json "$folder/installed"
    echo "ok 1 - npm ci"
    exit 0
fi
[ $status -ne 124 ] || skip "the npm registry took more than $seconds s"
code=$(sed -n 's/^npm \(ERR!\|error\) code //p' <<<"$log" | head -n 1)
case $code in
ENOTFOUND | EAI_AGAIN | ECONN* | ETIMEDOUT | EHOSTUNREACH | ENETUNREACH | EPROTO | ERR_SOCKET* | \
    *_TIMEOUT | E40[1347] | E429 | E5*)
    skip "the npm registry is not reachable: $code"
    ;;
esac
echo "not ok 1 - npm ci"
sed 's/^/# /' <<<"$log"
exit 1
