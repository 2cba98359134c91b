#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each system call of `create` and `start` fails, or is the last of its process: what starts is as confined as asked, nothing
# waits for ever, and one `delete --force` leaves nothing.
# timeout: 900
. "$TESTS/life/sweep.bash"

make_bundle bundle
"${OCI[@]}" run -b bundle "$ID" >reference 2>&1 || { cat reference; exit 1; }
cat >both <<'SH'
oci="$1 --root $2"
$oci create -b bundle "$3" && $oci start "$3"
code=$?
[ $code = 0 ] || $oci delete --force "$3"
exit $code
SH
check() {
	# a payload that is killed before it is one looks like one that is killed after
	[ "$1" != 0 ] || [[ $2 != kill* ]] || as_confined "$2"
	if [ "$1" = 0 ]; then
		cmp -s out reference || [[ $2 = kill* ]] || complain "$2: confined otherwise: $(diff reference out)"
		"${OCI[@]}" delete "$ID" >delete 2>&1 || complain "$2: delete: $(cat delete)"
		rm -f "$ROOT/.open/$ID"
		nothing_left "$2"
	else
		as_confined "$2"
	fi
	delete_leaves_nothing "$2"
}
# shellcheck disable=SC2034 # read by sweep.bash
INJECT_OPTIONS=(-p "$CTR_OCI")
# the created one waits until there is enough of what is short (life.c: wait_for_start), and looks who is there before it listens
tolerated+=('accept4 *' 'recvfrom * (ctr, child)')
sweep fail 200 bash both "$CTR_OCI" "$ROOT" "$ID"
sweep kill 200 bash both "$CTR_OCI" "$ROOT" "$ID"
[ $bad = 0 ]
