#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL of any of our processes at each of its system calls: the next command finds what to undo.
# timeout: 300
. "$TESTS/life/sweep.bash"

make_bundle bundle
total=$("$INJECT" -n 1000000 -k "${OCI[@]}" run -b bundle "$ID" 3>&1 >/dev/null | sed -n 's/^end //p')
[ "${total:-0}" -gt 100 ] || { echo "cannot count the calls: '$total'"; exit 1; }
bad=0
for ((n = 1; n <= total; n++)); do
	"$INJECT" -n "$n" -k "${OCI[@]}" run -b bundle "$ID" 3>hit >/dev/null 2>&1
	[ $? != 124 ] || { echo "call $(cat hit): hangs"; bad=1; }
	"${OCI[@]}" delete --force "$ID" >delete 2>&1 || { echo "call $(cat hit): delete: $(cat delete)"; bad=1; }
	nothing_left "call $(cat hit)" || bad=1
done
echo "$total calls"
[ $bad = 0 ]
