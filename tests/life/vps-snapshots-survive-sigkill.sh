#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL at each system call of a snapshot, a rollback and a clone: the files are the old or the new state, whole; the next
# command finds nothing half made; what runs goes on.
# timeout: 600
. "$TESTS/life/sweep.bash"
. "$TESTS/life/vps.bash"
rootfs r
"$CTR" create --name web r sh -c 'while :; do sleep 1; done' >/dev/null && "$CTR" start web || exit 1
"$CTR" exec web sh -c 'echo one >/data' && "$CTR" stop -t 0 web && "$CTR" snapshot create web base >/dev/null || exit 1
data() { # what /data is, seen without starting it; removed after
	"$CTR" clone "$1" probe >/dev/null 2>clone-errors || { cat clone-errors; return; }
	"$CTR" start probe >/dev/null && "$CTR" exec probe cat /data
	"$CTR" rm -f probe
}
left() {
	local n
	"$CTR" snapshot rm web new >/dev/null 2>&1
	"$CTR" rm -f w1 >/dev/null 2>&1
	"$CTR" snapshot create web check >/dev/null 2>&1 && "$CTR" snapshot rm web check >rm-errors 2>&1 || complain "$1: $(cat rm-errors)"
	for ((n = 0; n < 100; n++)); do [ "$(ls -A "$CTR_ROOT/instances/.tmp")" ] || break; sleep 0.05; done
	[ -z "$(ls -A "$CTR_ROOT/instances/.tmp")" ] || complain "$1: left behind: $(ls "$CTR_ROOT/instances/.tmp")"
}
# a snapshot of one that does not run
check() {
	[ "$(data web)" = one ] || complain "$2: /data is '$(data web)'"
	! "$CTR" snapshot list -q | grep -q '^web@new$' || [ "$(data web@new)" = one ] || complain "$2: the snapshot is not whole"
	left "$2"
}
sweep kill 40 "$CTR" snapshot create web new
# a rollback
prepare() {
	"$CTR" start web >/dev/null && "$CTR" exec web sh -c 'echo two >/data' && "$CTR" stop -t 0 web
}
check() {
	local now
	now=$(data web)
	case $now in one | two) ;; *) complain "$2: /data is '$now'" ;; esac
	[ "$1" != 0 ] || [ "$now" = one ] || complain "$2: said to be done, and /data is '$now'"
	left "$2"
}
sweep kill 40 "$CTR" rollback web base
# a clone, of one that runs: it must not stand still for ever
prepare() { "$CTR" rollback web base && "$CTR" start web >/dev/null 2>&1; }
check() {
	! "$CTR" list -q | grep -q '^w1$' || { "$CTR" start w1 >/dev/null && [ "$("$CTR" exec w1 cat /data)" = one ]; } || complain "$2: a clone that is not whole"
	timeout 5 "$CTR" exec web true || complain "$2: the origin stands still"
	left "$2"
	"$CTR" stop -t 0 web
}
sweep kill 40 "$CTR" clone web w1
"$CTR" rm -f web
[ $bad = 0 ]
