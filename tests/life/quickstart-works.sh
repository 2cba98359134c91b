#!/bin/sh
# timeout: 180
# What a person types first: from the build to an instance's own words, and then what it suggests.
set -eu

( cd "$TESTS/.." && B="$BUILD" make -s quickstart ) >out 2>&1 </dev/null || { cat out; exit 1; }
cat out
grep -q 'I am process 1 of quickstart, and user 0 here' out
grep -q '^  exit code 0$' out
grep -q 'make check' out

code=0
ctr run --rm busybox -- sh -c 'exit 7' || code=$?
test $code = 7
test "$(ctr image ls --quiet | wc -l)" = 1
