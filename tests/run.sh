#!/usr/bin/env bash
# Runs tests and counts them. Each program prints TAP ("ok 1 - name"); a program that ends badly
# without saying which test failed counts as one failure.
#
#   run.sh test                 everything `make test` promises (release, asan, hard, some of tsan)
#   run.sh suite BUILD          unit and end-to-end tests of one build
#   run.sh unit BUILD [NAME]    unit tests of one build, or one of them
#   run.sh e2e BUILD [NAME]     end-to-end tests of one build, or one module of them
#   run.sh clients BUILD [NAME] the clients of npm against one build, or one of them
set -u
cd "$(dirname "$0")/.."
# An allocation that can't be had is refused, as by libc; some tests ask for one.
export TSAN_OPTIONS="allocator_may_return_null=1:${TSAN_OPTIONS:-}"
passed=0
failed=0
skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# run_tap TITLE COMMAND...: runs it, counts its TAP lines, shows what failed.
run_tap() {
    local title=$1 ok bad skip status start=$SECONDS
    shift
    "$@" >"$log" 2>&1
    status=$?
    ok=$(grep '^ok ' "$log" | grep -vc '# SKIP')
    bad=$(grep '^not ok ' "$log" | grep -vc '# SKIP')
    skip=$(grep -Ec '^(not )?ok .*# SKIP' "$log") # "not ok" is cmocka's way of saying it
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
    fi
    passed=$((passed + ok))
    failed=$((failed + bad))
    skipped=$((skipped + skip))
    if [ "$bad" -gt 0 ]; then
        printf 'FAILED  %-44s %3d ok, %d failed, exit %d\n' "$title" "$ok" "$bad" $status
        sed 's/^/        /' "$log" | tail -n "${LINES_SHOWN:-60}"
    else
        printf 'ok      %-44s %3d tests, %d s\n' "$title" "$ok" $((SECONDS - start))
        grep -E '^# measured|# SKIP' "$log" | sed 's/^/        /'
    fi
}

unit() { # unit BUILD [NAME]
    local program
    if [ -n "${2:-}" ] && [ ! -x "$1/tests/test_$2" ]; then
        echo "no unit test of the name $2: there is no tests/test_$2.c" >&2
        exit 2
    fi
    for program in "$1"/tests/test_*; do
        [ -x "$program" ] && [ -f "$program" ] || continue
        case $program in *.o | *.d) continue ;; esac
        [ -z "${2:-}" ] || [ "$(basename "$program")" = "test_$2" ] || continue
        run_tap "$1: $(basename "$program")" timeout 300 env CMOCKA_MESSAGE_OUTPUT=TAP "$program"
    done
}

# Those of several builds side by side, shown one after another.
units_together() { # units_together BUILD...
    local folder build ok bad skip
    folder=$(mktemp -d)
    for build in "$@"; do
        mkdir -p "$folder/$build"
        (
            passed=0 failed=0 skipped=0 log="$folder/$build/log"
            unit "$build" >"$folder/$build/shown"
            echo "$passed $failed $skipped" >"$folder/$build/counts"
        ) &
    done
    wait
    for build in "$@"; do
        cat "$folder/$build/shown"
        read -r ok bad skip <"$folder/$build/counts" || { ok=0 bad=1 skip=0; }
        passed=$((passed + ok))
        failed=$((failed + bad))
        skipped=$((skipped + skip))
    done
    rm -rf "$folder"
}

# What the tests are told of a build: sizes are divided by `scale`; see README.md for no_rss.
judge_build() { # judge_build BUILD
    scale=1 no_rss=""
    case $1 in
    *asan | *tsan | *hard) scale=20 no_rss=1 ;;
    esac
}

e2e() { # e2e BUILD [NAME]
    judge_build "$1"
    local modules=${2:-$(/usr/bin/python3 tests/e2e/run.py --list-modules)}
    for module in $modules; do
        run_tap "$1: e2e $module" env E2E_BIN="$1/ebb" E2E_SCALE=$scale \
            E2E_NO_RSS=$no_rss timeout "${E2E_SECONDS:-600}" /usr/bin/python3 \
            tests/e2e/run.py "$module"
    done
}

clients() { # clients BUILD [NAME]
    local client
    judge_build "$1"
    run_tap "npm ci" tests/clients/install.sh build/clients
    ! grep -q '# SKIP' "$log" || return 0
    for client in ${2:-node_redis ioredis memcached memjs}; do
        run_tap "$1: client $client" env E2E_BIN="$1/ebb" E2E_NO_RSS=$no_rss \
            NODE_PATH=build/clients/node_modules timeout "${E2E_SECONDS:-600}" \
            node --test-reporter=tap "tests/clients/$client.js"
    done
}

case ${1:-} in
test)
    unit build # alone: some measure
    units_together build/asan build/hard
    for program in build/tsan/tests/test_*_threads; do
        [ -x "$program" ] && run_tap "tsan: $(basename "$program")" timeout 300 \
            env CMOCKA_MESSAGE_OUTPUT=TAP "$program"
    done
    e2e build
    clients build
    ;;
suite)
    unit "$2"
    e2e "$2"
    clients "$2"
    ;;
unit) unit "$2" "${3:-}" ;;
e2e) e2e "$2" "${3:-}" ;;
clients) clients "$2" "${3:-}" ;;
*)
    sed -n '2,10p' "$0"
    exit 2
    ;;
esac
mkdir -p build
echo "$passed $failed $skipped" >build/test-counts
echo "$passed passed, $failed failed$([ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
