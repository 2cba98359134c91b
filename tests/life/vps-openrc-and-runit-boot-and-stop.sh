#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian with OpenRC, below sysvinit and with its own init, and with runit: each boots as process 1 in a user namespace of its own and runs its
# services; reboot from inside starts it again, poweroff ends it; `ctr stop` at any moment of the boot ends it in order, long before its timeout.
# timeout: 180
. "$TESTS/life/vps.bash"
for name in openrc runit; do
	tar=$("$TESTS/lab/lab" $name-tar 2>/dev/null) && [ -e "$tar" ] || { echo "needs the lab's base: tests/lab/lab build-base"; exit 77; }
	want 0 "$CTR" image import "$tar" $name:1
done
pid() { "$CTR" inspect "$1" | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -n 1; }
within() { # within SECONDS COMMAND...
	local i n=$1
	shift
	for ((i = 0; i < n * 10; i++)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
	fail "not within $n seconds: $*"
}
ended() { # ended CODE: this run of it, in order
	[ "$("$CTR" inspect "$name" | sed -n 's/.*"code": \(-\{0,1\}[0-9]*\).*/\1/p' | head -n 1)" = 0 ] || fail "$name $1: $("$CTR" list)"
}
is_up() {
	case $name in
	sysvinit) "$CTR" exec $name sh -c 'runlevel | grep -q "N 2" && rc-status default | grep -q started' ;;
	openrc) "$CTR" exec $name sh -c '[ -p /run/openrc/init.ctl ] && rc-status boot default | grep -q started && [ "$(cat /run/openrc/softlevel)" = default ]' ;;
	runit) "$CTR" exec $name sh -c '[ "$(cat /proc/1/comm)" = runit ] && pgrep -x runsvdir && sv status mine | grep -q ^run:' ;;
	esac
}
try() { # try NAME IMAGE INIT REBOOT POWEROFF
	local first after took begin
	name=$1
	want 0 "$CTR" create --name "$name" --profile system --net none "$2" "$3"
	if [ "$name" = runit ]; then # a service of its own
		mkdir -p mine && printf '#!/bin/sh\nexec sleep 1000\n' >mine/run && chmod 755 mine/run
		want 0 "$CTR" cp mine "$name:/etc/service/"
	fi
	want 0 "$CTR" start "$name"
	within 20 is_up
	first=$(pid "$name")
	"$CTR" exec "$name" sh -c "$4" >/dev/null 2>&1
	rebooted() { local now; now=$(pid "$name") && [ -n "$now" ] && [ "$now" != 0 ] && [ "$now" != "$first" ]; }
	within 20 rebooted
	within 20 is_up
	"$CTR" exec "$name" sh -c "$5" >/dev/null 2>&1
	want 0 timeout 20 "$CTR" wait "$name"
	ended "by poweroff"
	for after in 0 0.3 1; do
		want 0 "$CTR" start "$name"
		sleep $after
		begin=$(date +%s%N)
		want 0 timeout 40 "$CTR" stop -t 25 "$name"
		took=$((($(date +%s%N) - begin) / 1000000))
		[ $took -lt 20000 ] || fail "stop $after s after the start of $name took $took ms: it was killed"
		ended "stopped after $after s"
	done
	want 0 "$CTR" start "$name"
	within 20 is_up
	want 0 timeout 40 "$CTR" stop -t 25 "$name"
	ended "stopped when it was up"
}
try sysvinit openrc:1 /sbin/init reboot 'shutdown -h -P now'
try openrc openrc:1 /sbin/openrc-init 'openrc-shutdown -r now' 'openrc-shutdown -p now'
try runit runit:1 /sbin/init reboot poweroff
want 0 "$CTR" rm -f '*'
nothing_left
