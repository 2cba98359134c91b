#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each system call of `run` fails in turn: it must end in time, say why, start nothing that is less confined than
# asked, and leave nothing that one `delete --force` does not remove.
# timeout: 300
. "$TESTS/life/sweep.bash"

make_bundle bundle
"${OCI[@]}" run -b bundle "$ID" >reference 2>&1 || { cat reference; exit 1; }
total=$("$INJECT" -n 1000000 -e 5 "${OCI[@]}" run -b bundle "$ID" 3>&1 >/dev/null | sed -n 's/^end //p')
[ "${total:-0}" -gt 100 ] || { echo "cannot count the calls: '$total'"; exit 1; }
errnos=(5 12 1 28 24) # EIO ENOMEM EPERM ENOSPC EMFILE
bad=0 silent=0 tolerated=0
for ((n = 1; n <= total; n++)); do
	"$INJECT" -n "$n" -e "${errnos[n % 5]}" "${OCI[@]}" run -b bundle "$ID" 3>hit >out 2>err
	code=$?
	if [ $code = 124 ]; then
		echo "call $(cat hit): hangs" && bad=1
	elif [ $code = 0 ]; then
		tolerated=$((tolerated + 1))
		cmp -s out reference || { echo "call $(cat hit): confined otherwise:"; diff reference out; bad=1; }
	elif [ ! -s err ] && ! grep -q '^end' hit; then
		silent=$((silent + 1))
		echo "call $(cat hit): exit code $code without a word"
	fi
	"${OCI[@]}" delete --force "$ID" >delete 2>&1 || { echo "call $(cat hit): delete: $(cat delete)"; bad=1; }
	nothing_left "call $(cat hit)" || bad=1
done
echo "$total calls, $tolerated failures tolerated, $silent without a message"
[ $bad = 0 ] && [ $silent = 0 ]
