#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL of any of our processes at each of its system calls: the next command finds what to undo, and what ran
# until then was as confined as ever.
# timeout: 300
. "$TESTS/life/sweep.bash"

make_bundle bundle
"${OCI[@]}" run -b bundle "$ID" >reference 2>&1 || { cat reference; exit 1; }

check() {
	[ ! -s out ] || cmp -s out reference || cmp -s <(head -c "$(wc -c <out)" reference) out ||
		complain "$2: confined otherwise: $(diff reference out)"
	delete_leaves_nothing "$2"
}
sweep kill 0 "${OCI[@]}" run -b bundle "$ID"
[ $bad = 0 ]
