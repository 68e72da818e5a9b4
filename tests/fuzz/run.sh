#!/usr/bin/env bash
#   run.sh [SECONDS] [TARGET]...
# Fuzzes each target (all of them, or those named) for SECONDS (default 60), one after the other, from its
# corpus. New inputs are kept under build/fuzz; a finding stops the run and names the file that shows it.
# alloc_hard is the allocator with the constants of `make hard`.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
targets=${*:-$(ls tests/fuzz/fuzz_*.c | sed 's/.*fuzz_\(.*\)\.c/\1/') alloc_hard}
out=build/fuzz
mkdir -p "$out"

if pkg-config --exists libllhttp 2>/dev/null; then
    llhttp=$(pkg-config --cflags --libs libllhttp)
else
    llhttp="-I/usr/share/include/llhttp /usr/share/llhttp/api.c /usr/share/llhttp/http.c /usr/share/llhttp/llhttp.c"
fi

for target in $targets; do
    name=fuzz_$target
    source=tests/fuzz/fuzz_${target%_hard}.c
    case $name in
    fuzz_alloc*) # the twin without the fuzzer's counters: they are no news, and cost most of the time
        constants=$([ "$name" = fuzz_alloc ] || echo -DEBB_HARD)
        for part in twin fake_os; do
            clang -std=c11 -O2 -g -D_GNU_SOURCE $constants -fsanitize=address \
                -c "tests/support/$part.c" -o "$out/$name-$part.o"
        done
        parts="$constants alloc/*.c $out/$name-twin.o $out/$name-fake_os.o -fno-sanitize-coverage=trace-cmp" ;;
    *) parts="tests/support/feed.c tests/support/feed_targets.c proto/*.c $llhttp" ;;
    esac
    echo "fuzz: $name for $seconds s"
    # shellcheck disable=SC2086
    clang -std=c11 -O1 -g -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=undefined "$source" $parts -lm -lpthread -o "$out/$name"
    mkdir -p "$out/corpus-$target"
    seeds=tests/fuzz/corpus/${target%_hard}
    "$out/$name" -max_total_time="$seconds" -print_final_stats=0 -artifact_prefix="$out/" \
        -verbosity=0 "$out/corpus-$target" $([ -d "$seeds" ] && echo "$seeds")
done
echo "fuzz: no findings"
