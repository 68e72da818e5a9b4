#!/bin/sh
# SPDX-License-Identifier: MIT
# `make compare`: scenarios on Ebb by both protocols, redis-server and memcached, and one report.
#
#   bench/tide/compare.sh build/tide build/ebb build/compare
#
# SCALE=0.1 makes sizes, counts and times a tenth; SCENARIOS="w3 scenes" and SERVERS="ebb redis"
# choose. A run that is there already, of the same scale, is not made again.
set -eu

tide=$1
ebb=$2
folder=$3
scale=${SCALE:-1}
scenarios=${SCENARIOS:-$("$tide" list | awk '{print $1}')}
servers=${SERVERS:-ebb ebb-memcached redis memcached}
status=0
mkdir -p "$folder"

# Neither has a limit that a scenario comes to: they would evict, and Ebb not.
protocol() {
    case $1 in
    *memcached) echo memcached ;;
    *) echo resp ;;
    esac
}

command_of() {
    quiet="--http-port 0 --maxmemory 0 --loglevel warning"
    user=$([ "$(id -u)" = 0 ] && echo "-u root" || true)
    case $1 in
    ebb) echo "$ebb --port %p --memcached-port 0 $quiet" ;;
    ebb-memcached) echo "$ebb --memcached-port %p --port 0 $quiet" ;;
    redis) echo "redis-server --bind 127.0.0.1 --port %p --save '' --loglevel warning" ;;
    memcached) echo "memcached -l 127.0.0.1 -p %p -U 0 -m 65536 $user" ;;
    *)
        echo "compare: no server is called $1: ebb, ebb-memcached, redis, memcached" >&2
        exit 2
        ;;
    esac
}

present=
for server in $servers; do
    program=$(command_of "$server" | awk '{print $1}')
    [ -n "$program" ] || exit 2
    if command -v "$program" >/dev/null 2>&1; then
        present="$present $server"
    else
        echo "compare: $program is not installed, the report goes without it" >&2
    fi
done

play() { # play SCENARIO SERVER RUN
    code=0
    echo "compare: $1 on $2" >&2
    "$tide" run "$1" --protocol "$(protocol "$2")" --spawn "$(command_of "$2")" --label "$2" \
        --scale "$scale" --time-scale "$scale" --json "$3" >"$folder/said" || code=$?
    if [ $code -ge 2 ]; then
        echo "compare: $1 on $2 did not come to its end" >&2
    fi
    [ $code -le $status ] || status=$code
}

set --
for scenario in $scenarios; do
    for server in $present; do
        run=$folder/$scenario-$server-$scale.json
        grep -qs '"completed": true' "$run" || play "$scenario" "$server" "$run"
        [ ! -s "$run" ] || set -- "$@" "$run"
    done
done
[ $# -gt 0 ] || { echo "compare: nothing to compare" >&2; exit 2; }

"$tide" compare "$@"
"$tide" compare --report "$folder/report.html" "$@"
echo "compare: $folder/report.html"
exit $status
