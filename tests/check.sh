#!/usr/bin/env bash
# What `make check` holds: the rooms' doors, formatting, static analysis. Arguments: the C files.
set -u
cd "$(dirname "$0")/.."
bad=0

say() {
    echo "check: $*" >&2
    bad=1
}

# may_not FOLDER REGEX REASON: no file of the folder includes a path that matches.
may_not() {
    local hits
    hits=$(grep -nHE "^#include [\"<]($2)" "$1"/*.[ch] 2>/dev/null) && say "$3:
$hits"
}

# Doors: server -> {alloc, proto}; net -> cmd -> store -> alloc; nothing points back up.
may_not alloc '\.\./|uv\.h|llhttp' 'alloc/ knows libc and itself only'
may_not proto '\.\./|uv\.h' 'proto/ knows libc, llhttp and itself only'
may_not server/store '\.\./\.\./proto|\.\./(net|cmd|admin|service|options)|uv\.h' \
    'server/store knows alloc only'
may_not server/cmd '\.\./(net|admin)|\.\./\.\./alloc|uv\.h' 'server/cmd touches no socket and no slot'
may_not server/admin '\.\./net|uv\.h' 'server/admin touches no socket'
may_not server/net '\.\./\.\./alloc|\.\./store/(item|index|shard|store_internal)' \
    'server/net touches no item'
hits=$(grep -nHE '#include ".*alloc/(internal|bits)\.h"' server/*.[ch] server/*/*.[ch]) &&
    say "only alloc/ and its tests see its inside:
$hits"
hits=$(grep -lE 'include "(\.\./)*alloc/ebb_alloc\.h"' server/*.[ch] server/*/*.[ch] |
    grep -v '^server/store/') && say "only server/store calls the allocator:
$hits"

# Every file says what it is.
for file in "$@"; do
    head -n 1 "$file" | grep -q 'SPDX-License-Identifier: MIT' || say "$file: no licence line"
done

clang-format --dry-run --Werror "$@" || say "formatting: run make format"

cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr -D__x86_64__ -DEBB_REVISION='"x"' \
    --enable=warning,portability --suppress=missingIncludeSystem --suppress=preprocessorErrorDirective \
    --suppress='*:/usr/*' --max-configs=1 -j "$(nproc)" alloc proto server || say "cppcheck"

[ $bad -eq 0 ] && echo "check: ok"
exit $bad
