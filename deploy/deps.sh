#!/bin/sh
# Installs the packages that are missing for what is named: build, test, check, fuzz. Does nothing, and
# asks for no rights, when all are there. Only apt is driven; for other systems it says the names.
set -eu

build_apt="gcc libc6-dev make pkg-config libuv1-dev libxxhash-dev node-llhttp libjansson-dev \
zlib1g-dev libjs-dygraphs gzip"
test_apt="libcmocka-dev python3 redis-tools redis-server memcached python3-redis python3-pymemcache \
python3-pylibmc libmemcached-tools curl prometheus python3-prometheus-client chromium chromium-driver"
# Who has npm from elsewhere keeps it: Debian's can't be installed beside it.
command -v npm >/dev/null 2>&1 || test_apt="$test_apt nodejs npm"
check_apt="clang-format cppcheck"
fuzz_apt="clang libclang-rt-dev"

# Elsewhere llhttp is a library of its own.
build_dnf="gcc make pkgconf libuv-devel xxhash-devel llhttp-devel jansson-devel zlib-devel gzip"
build_apk="gcc make musl-dev pkgconf libuv-dev xxhash-dev llhttp-dev jansson-dev zlib-dev gzip"
build_pacman="gcc make pkgconf libuv xxhash llhttp jansson zlib gzip"
build_brew="pkg-config libuv xxhash llhttp jansson zlib"
test_dnf="libcmocka-devel python3-redis python3-pymemcache redis libmemcached curl memcached golang-github-prometheus nodejs npm"
test_apk="cmocka-dev redis py3-redis libmemcached memcached curl prometheus nodejs npm"
test_pacman="cmocka redis python-redis python-pymemcache libmemcached memcached curl prometheus nodejs npm"
test_brew="cmocka redis libmemcached memcached curl prometheus node"
check_dnf="clang-tools-extra cppcheck"
check_apk="clang-extra-tools cppcheck"
check_pacman="clang cppcheck"
check_brew="clang-format cppcheck"
fuzz_dnf="clang compiler-rt"
fuzz_apk="clang compiler-rt"
fuzz_pacman="clang compiler-rt"
fuzz_brew="llvm"

names() { # names MANAGER GROUP...
    manager=$1
    shift
    for group in "$@"; do
        eval "printf '%s ' \"\$${group}_$manager\""
    done
}

if ! command -v apt-get >/dev/null 2>&1; then
    # Whatever is there may do: the build says what it can't find.
    for manager in dnf apk pacman brew; do
        if command -v "$manager" >/dev/null 2>&1; then
            echo "packages needed ($manager): $(names "$manager" "$@")" >&2
            exit 0
        fi
    done
    echo "packages needed (Debian's names): $(names apt "$@")" >&2
    exit 0
fi

# Of two at once (make -j), the second waits and then finds what the first installed.
exec 9<"$0"
flock 9

missing=""
for package in $(names apt "$@"); do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "missing packages, and no sudo to install them:$missing" >&2
        exit 1
    }
    as_root=sudo
fi
echo "installing:$missing"
# Servers that come with test packages must not start by themselves.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
    trap '$as_root rm -f $policy' EXIT
fi
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
