#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who lives in a container may nest cgroups deeper than we may have descriptors: deleting it removes them all, in time.
# timeout: 60
# shellcheck disable=SC2034 # read by sweep.bash
WITHOUT_INJECT=yes
. "$TESTS/life/sweep.bash"

make_bundle bundle
cp "$(command -v busybox)" bundle/rootfs/bin/sleep || { echo "needs busybox-static"; exit 77; }
sed -i 's|"/bin/witness"|"/bin/sleep", "1000", "/bin/witness"|' bundle/config.json
"${OCI[@]}" run -d -b bundle "$ID" >out 2>&1 </dev/null || { cat out; exit 1; }
top=$(cgroups | head -1)
[ -d "$top" ] || { echo "no cgroup of '$ID'"; exit 1; }
python3 - "$top" <<'PY' || exit 1
import os, sys
os.chdir(sys.argv[1])
for i in range(1500):
    os.mkdir('x')
    if i % 100 == 0:
        os.mkdir('y')
    os.chdir('x')
PY
ulimit -n 100
timeout 30 "${OCI[@]}" delete --force "$ID" >out 2>&1 || { echo "delete: exit code $?: $(cat out)"; exit 1; }
nothing_left "after delete"
