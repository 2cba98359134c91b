#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Life tests of containers and instances, on another kernel and with every controller: those that meet either, or with LIFE=all
# in the environment all but the sweeps, which ask for minutes natively and would take an hour here.
# timeout: 1800
. tests/lab/jobs/common

wanted=(
    net-bridges-of-the-host net-macvlan-is-in-the-parents-network oci-exec-runs-as-told oci-hooks-run-in-order oci-life-cycle oci-masked-and-readonly-paths oci-namespaces-are-new
    oci-checkpoint-and-restore oci-user-namespace vps-moves-with-its-memory vps-disk-limits-hold-or-are-refused vps-a-bad-neighbour-is-measured vps-exec-joins-and-confines vps-limits-hold-or-are-refused vps-ports-open-without-root vps-run-exits-as-its-payload vps-runs-without-root
    vps-start-and-stop-mean-it vps-usage-of-memory-and-disks-is-right vps-volumes-show-what-was-asked
)
if [ "${LIFE-}" = all ]; then
    wanted=()
    for script in tests/life/{oci,vps}-*.sh; do
        limit=$(sed -n 's/^# timeout: *\([0-9]*\).*/\1/p' "$script" | head -n 1)
        [ "${limit:-60}" -gt 120 ] || wanted+=("$(basename "$script" .sh)")
    done
fi
for name in "${wanted[@]}"; do
    [ -x "tests/life/$name.sh" ] || verdict "$name is there" [ -x "tests/life/$name.sh" ]
done
# The verdicts lose a word, since the name of this job will stand before them.
SLOW=10 tests/run life -- "${wanted[@]/#/life/}" | sed 's,^\(PASS\|FAIL\|SKIP\) life/,\1 ,'
[ "${PIPESTATUS[0]}" = 0 ] || exit
finish
