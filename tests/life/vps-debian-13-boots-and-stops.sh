#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A whole Debian 13 (the lab's) with systemd as process 1 in a user namespace of its own: it reaches `running` with no failed unit, time after
# time; reboot from inside starts it again, poweroff ends it; `ctr stop` at any moment of the boot works within its timeout.
# timeout: 180
. "$TESTS/life/vps.bash"
tree=$("$TESTS/lab/lab" tree 2>/dev/null) && [ -x "$tree/sbin/init" ] || { echo "needs the lab's base: tests/lab/lab build-base"; exit 77; }
state() { "$CTR" exec deb systemctl is-system-running 2>/dev/null; }
is_up() { case $(state) in running | degraded) ;; *) return 1 ;; esac; }
up() { # at most 40 seconds
	local i
	for ((i = 0; i < 400; i++)); do is_up && break; sleep 0.1; done
	[ "$(state)" = running ] || fail "$1: $(state): $("$CTR" exec deb systemctl --failed --no-legend --plain | head -n 5)"
}
want 0 "$CTR" create --name deb --profile system --net none "$tree" /sbin/init
for boot in 1 2 3; do
	want 0 "$CTR" start deb
	up "boot $boot"
	[ "$("$CTR" exec deb sh -c 'cat /proc/1/comm; hostname; id -u' | xargs)" = "systemd deb 0" ] || fail "boot $boot: who is it?"
	want 0 "$CTR" stop deb
done
# from inside
want 0 "$CTR" start deb
up "before a reboot"
pid() { "$CTR" inspect deb | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -n 1; }
first=$(pid)
"$CTR" exec deb systemctl reboot >/dev/null 2>&1
rebooted() { local now; now=$(pid) && [ -n "$now" ] && [ "$now" != 0 ] && [ "$now" != "$first" ]; }
for ((i = 0; i < 200; i++)); do rebooted && break; sleep 0.1; done
rebooted || fail "it did not come back after a reboot"
up "after a reboot"
"$CTR" exec deb systemctl poweroff >/dev/null 2>&1
want 0 timeout 40 "$CTR" wait deb
want 0 "$CTR" list --json
[ "$("$CTR" inspect deb | sed -n 's/.*"status": "\(.*\)".*/\1/p' | head -n 1)" != running ] || fail "it runs after poweroff"
# stopped at any moment
for after in 0 0.03 0.06 0.1 0.15 0.2 0.3 0.5; do
	want 0 "$CTR" start deb
	sleep $after
	begin=$(date +%s%N)
	want 0 timeout 40 "$CTR" stop -t 20 deb
	took=$((($(date +%s%N) - begin) / 1000000))
	[ $took -lt 20000 ] || fail "stop $after s after the start took $took ms: it was killed"
done
want 0 "$CTR" start deb
up "after all that"
want 0 "$CTR" rm -f deb
nothing_left
