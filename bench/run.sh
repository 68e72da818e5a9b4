#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make bench` runs: short versions of all, in a few minutes. The long ones: README.md.
#
#   bench/run.sh build/ebb
set -eu

ebb=${1:-build/ebb}
programs=$(dirname "$ebb")/bench
here=$(dirname "$0")

"$programs/memory" workloads frag keep --binary "$ebb" --live 64mb --written 2 --workloads 3,8
"$programs/memory" overhead growth churn square --server ebb --binary "$ebb" --live 64mb \
    --items 500000 --seconds 5 --periods 1 --waves 8
"$programs/hits" kv shift --binary "$ebb" --limit 32 --turns 3 --runs 3
EBB_BENCH_PERIODS=1 "$here/alloc.sh" "$programs/alloc" 64 W3 W8
"$programs/race" --quick --binary "$ebb"
