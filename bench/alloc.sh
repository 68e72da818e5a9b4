#!/bin/sh
# SPDX-License-Identifier: MIT
# Ebb's allocator beside glibc's, jemalloc, mimalloc, tcmalloc and Python: W1..W8 and the five scenes.
# One process for each figure, the allocators in turn for each, so that a slow moment of the machine
# hits all alike. What is not installed is left out, and said so.
#
#   bench/alloc.sh PROGRAM [LIVE_MIB] [WORKLOAD]...     default: 256, W1 to W8 and all scenes
#
# PROGRAM is build/bench/alloc. With strace installed the scenes' system calls for memory are counted
# in a second run.
set -eu

program=${1:-build/bench/alloc}
live_mib=${2:-256}
[ $# -lt 1 ] || shift
[ $# -lt 1 ] || shift
workloads=${*:-W1 W2 W3 W4 W5 W6 W7 W8}
here=$(dirname "$0")
python=/usr/bin/python3
scenes="freed whoops middle library job"
scene_live=67108864
lines=$(mktemp)
trap 'rm -f "$lines" "$lines.calls"' EXIT

# library NAME: the path of a shared library, empty if it is not there.
library() {
    ldconfig -p 2>/dev/null | sed -n "s/^[[:space:]]*$1 .*=> //p" | head -1
}

jemalloc=$(library 'libjemalloc\.so\.2')
mimalloc=$(library 'libmimalloc\.so\.2')
tcmalloc=$(library 'libtcmalloc_minimal\.so\.4')
allocators="ebb glibc"
for name in jemalloc mimalloc tcmalloc; do
    eval "path=\$$name"
    if [ -n "$path" ]; then
        allocators="$allocators $name"
    else
        echo "alloc.sh: $name is not installed: left out" >&2
    fi
done

# on ALLOCATOR WHAT OPTION...: one measurement
on() {
    name=$1
    shift
    case $name in
    ebb | ebb-keep) "$program" --allocator "$name" "$@" ;;
    glibc) "$program" --allocator malloc --label glibc "$@" ;;
    *)
        eval "path=\$$name"
        LD_PRELOAD=$path "$program" --allocator malloc --label "$name" "$@"
        ;;
    esac
}

# calls ALLOCATOR SCENE: how often it asked the system for memory or gave some back
calls() {
    name=$1
    path=""
    kind=malloc
    case $name in
    ebb) kind=ebb ;;
    glibc) ;;
    *) eval "path=\$$name" ;;
    esac
    strace -f -c -U calls,name -o "$lines.calls" \
        -e trace=mmap,munmap,madvise,brk,mprotect,mremap ${path:+-E LD_PRELOAD="$path"} \
        "$program" "$2" --allocator "$kind" --live $scene_live >/dev/null 2>&1 || return 0
    awk -v scene="$2" -v name="$name" '/ total$/ {
        printf "%s\t%s\t\tsystem_calls\t%d\n", scene, name, $1 }' "$lines.calls"
}

for what in $workloads; do
    for name in $allocators; do
        echo "# $what $name" >&2
        on "$name" "$what" --live $((live_mib * 1048576)) >>"$lines"
    done
done
for what in $scenes; do
    for name in $allocators; do
        echo "# $what $name" >&2
        on "$name" "$what" --live $scene_live >>"$lines"
        if command -v strace >/dev/null 2>&1; then
            calls "$name" "$what" >>"$lines"
        fi
    done
    if [ -x $python ]; then
        echo "# $what python" >&2
        $python "$here/scenes.py" "$what" --live $scene_live --label python >>"$lines"
        [ "$what" = job ] ||
            $python "$here/scenes.py" "$what" --live $scene_live --chunk 480 --label python-480B \
                >>"$lines"
    fi
done
for period in ${EBB_BENCH_PERIODS:-1 5}; do
    for name in $allocators ebb-keep; do
        echo "# square $period s $name" >&2
        on "$name" square --live $scene_live --period "$period" >>"$lines"
    done
done
[ -z "${EBB_BENCH_LINES:-}" ] || cp "$lines" "$EBB_BENCH_LINES"
"$program" --print "$lines"
