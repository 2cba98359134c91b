#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 500 runs, and 100 that are killed with SIGKILL at a random moment, each followed by a next command: no mounts, cgroups,
# namespaces, processes or files are there that were not there before.
# timeout: 240
# shellcheck disable=SC2034 # read by sweep.bash
WITHOUT_INJECT=yes
. "$TESTS/life/sweep.bash"

snapshot() {
	{
		awk '{ print "mount", $5 }' /proc/self/mountinfo
		awk '$9 == "cgroup2" || $8 == "cgroup2" { print $5 }' /proc/self/mountinfo | while read -r m; do
			find "$m" -type d \( -name "*$ID*" -o -path '*/ctr/*' \) 2>/dev/null
		done
		find "$CTR_ROOT" "$CTR_RUN" -mindepth 1 ! -path '*/.open' ! -path '*/images/*' ! -path '*/layers/*' ! -path '*/refs/*'
		find /dev/shm -maxdepth 1 -mindepth 1 -user root
	} 2>/dev/null | sort
}
namespaces() { # those that a process of this test lives in
	for p in /proc/[0-9]*; do
		tr '\0' '\n' <"$p/cmdline" 2>/dev/null | grep -qx -- "$ID" && readlink "$p"/ns/* 2>/dev/null
	done | sort -u | wc -l
}

mkdir -p tiny/bin tiny/dev tiny/proc tiny/sys tiny/etc tiny/run tiny/tmp
cp "$BUILD/tests/life/witness" tiny/bin/witness
cp "$(command -v busybox)" tiny/bin/sleep 2>/dev/null || { echo "needs busybox-static"; exit 77; }
tar -C tiny -cf tiny.tar .
"$CTR" image import tiny.tar tiny >import 2>&1 || { cat import; exit 1; }
make_bundle bundle
"$CTR" run --rm tiny /bin/witness >out 2>&1 || { cat out; exit 1; }
"${OCI[@]}" run -b bundle "$ID" >out 2>&1 || { cat out; exit 1; }
"$CTR" list >/dev/null
snapshot >before

for ((i = 0; i < 250; i++)); do
	"$CTR" run --rm tiny /bin/witness >out 2>&1 || { echo "run $i: $(tail -1 out)"; exit 1; }
	"${OCI[@]}" run -b bundle "$ID" >out 2>&1 || { echo "oci run $i: $(tail -1 out)"; exit 1; }
done
snapshot >after
diff before after || { echo "after 500 runs"; exit 1; }

sed -i 's|"/bin/witness"|"/bin/sleep", "5", "/bin/witness"|' bundle/config.json
cp tiny/bin/sleep bundle/rootfs/bin/sleep
for ((i = 0; i < 50; i++)); do
	# kill between the fork of the shell and well after the payload runs: 0 to 12 ms
	"${OCI[@]}" run -b bundle "$ID" >/dev/null 2>&1 &
	sleep "$(printf 0.0%02d $((RANDOM % 13)))" && kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
	"${OCI[@]}" delete --force "$ID" || { echo "delete after kill $i"; exit 1; }
	"$CTR" run --rm tiny /bin/sleep 5 >/dev/null 2>&1 &
	sleep "$(printf 0.0%02d $((RANDOM % 13)))" && kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
	"$CTR" list >/dev/null || { echo "list after kill $i"; exit 1; }
done
sleep 0.2 # what SIGKILL hit is being torn down by the kernel
"$CTR" list >/dev/null
"${OCI[@]}" list >/dev/null
snapshot >after
diff before after || { echo "after 100 kills"; exit 1; }
[ "$(namespaces)" = 0 ] || { echo "namespaces with processes are left"; exit 1; }
