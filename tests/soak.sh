#!/usr/bin/env bash
# What is too long for `make test`: the suite in every build, long random streams and models, fuzzing and
# the full memory benchmark. SECONDS (default 600) is for each fuzzer; an hour of it is worth while.
#
#   soak.sh [SECONDS]
set -u
cd "$(dirname "$0")/.."
seconds=${1:-600}
failed=0

step() { # step TITLE COMMAND...
    echo "soak: $1"
    shift
    "$@" || failed=$((failed + 1))
}

for variant in asan tsan hard; do
    step "the suite in build/$variant" tests/run.sh suite "build/$variant"
done
for round in 1 2 3; do
    for model in alloc_model store_model alloc_oom large; do
        step "$model, round $round" tests/run.sh unit build/hard "$model"
    done
done
step "a million random commands beside Redis and memcached" \
    env E2E_COMMANDS=1000000 E2E_SECONDS=3600 tests/run.sh e2e build random_streams
step "the scenes at full length" env E2E_LONG=1 E2E_SECONDS=3600 tests/run.sh e2e build scenes limit
step "the fuzzers" tests/fuzz/run.sh "$seconds"
step "the memory benchmark" build/bench/memory all --server ebb --must-meet
echo "soak: $failed steps failed"
[ "$failed" -eq 0 ]
