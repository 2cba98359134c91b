#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Eight workers create, start, stop, kill and remove instances at random, some of their commands and supervisors are killed
# at random as well: no hang, no strange word, nothing left.
# timeout: 3600
. "$TESTS/life/vps.bash"
ROUNDS=${ROUNDS:-2500}
rootfs r
worker() {
	local i name pid
	RANDOM=$1
	for ((i = 0; i < ROUNDS; i++)); do
		name=w$((RANDOM % 12))
		case $((RANDOM % 9)) in
		0 | 1) set -- run -d --name "$name" r sh -c 'trap "exit 0" TERM; while :; do echo tick; sleep 0.1; done' ;;
		2) set -- run --rm --name "$name" r true ;;
		3) set -- create --name "$name" r sleep 100 ;;
		4) set -- start "$name" ;;
		5) set -- stop --time 1 "$name" ;;
		6) set -- rm -f "$name" ;;
		7) set -- exec "$name" true ;;
		8) set -- list ;;
		esac
		"$CTR" "$@" >>"log.$BASHPID" 2>&1 & # a hang is one of this whole script
		pid=$!
		if [ $((RANDOM % 10)) = 0 ]; then
			sleep "0.0$((RANDOM % 5))"
			kill -9 $pid 2>/dev/null
		fi
		wait $pid
		if [ $((RANDOM % 20)) = 0 ]; then
			pid=$(field "$name" supervisor 2>/dev/null)
			[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
		fi
	done
}
for w in 1 2 3 4 5 6 7 8; do
	worker $w 2>/dev/null &
done
wait 2>/dev/null
grep -hvE "^w[0-9]+$|is taken|there is no instance|runs already|does not run|was removed meanwhile|was started meanwhile|has a new one|^NAME|^w[0-9]+  |had lost|was to be removed then|not running|the supervisor died|died before|: Killed|Killed" log.* | sort | uniq -c | sort -rn | head -n 20 >strange
[ ! -s strange ] || fail "strange words: $(cat strange)"
want 0 "$CTR" list -q
mapfile -t names <out
[ ${#names[@]} = 0 ] || want 0 "$CTR" rm -f "${names[@]}"
nothing_left
