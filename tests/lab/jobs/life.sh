#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The life tests of containers and instances, on another kernel and with every controller. Those of images would show
# nothing new, and those that natively ask for minutes would take an hour: sweeps stay at home.
# timeout: 900
. tests/lab/jobs/common

wanted=()
for script in tests/life/{oci,vps}-*.sh; do
    limit=$(sed -n 's/^# timeout: *\([0-9]*\).*/\1/p' "$script" | head -n 1)
    if [ "${limit:-60}" -le 120 ]; then
        wanted+=("life/$(basename "$script" .sh)")
    fi
done
[ ${#wanted[@]} -gt 0 ] || {
    echo 'SKIP: there are no life tests of containers and instances'
    exit 77
}
# The verdicts lose a word, since the name of this job will stand before them.
SLOW=10 tests/run life -- "${wanted[@]}" | sed 's,^\(PASS\|FAIL\|SKIP\) life/,\1 ,'
exit "${PIPESTATUS[0]}"
