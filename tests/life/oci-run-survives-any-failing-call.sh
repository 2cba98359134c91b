#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each system call of `run` fails in turn: it must end in time, say why, start nothing that is less confined than
# asked, and leave nothing that one `delete --force` does not remove. What succeeds leaves nothing at all.
# timeout: 300
. "$TESTS/life/sweep.bash"

make_bundle bundle
"${OCI[@]}" run -b bundle "$ID" >reference 2>&1 || { cat reference; exit 1; }

check() {
	if [ "$1" = 0 ]; then
		cmp -s out reference || complain "$2: confined otherwise: $(diff reference out)"
		# a name that could not be taken away is no promise any more: its owner is dead
		rm -f "$ROOT/.open/$ID"
		nothing_left "$2"
	fi
	delete_leaves_nothing "$2"
}
sweep fail 0 "${OCI[@]}" run -b bundle "$ID"
[ $bad = 0 ]
