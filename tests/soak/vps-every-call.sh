#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The two sweeps of `ctr run` over every system call, which the life tests make in steps of seven.
# timeout: 3600
export EVERY=1
for sweep in survives-any-failing-call killed-at-any-call-is-cleaned-up; do
	rm -rf r
	"$TESTS/life/vps-run-$sweep.sh" || exit 1
done
