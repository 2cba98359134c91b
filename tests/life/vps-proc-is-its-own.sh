#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A system's /proc/stat, loadavg and the like tell of itself; reading on, reading again and reading without the viewer work; a
# killed viewer is replaced by the next start; with the last instance it goes.
. "$TESTS/life/vps.bash"
rootfs r
viewers() { pgrep -f "^ctr: views" | while read -r p; do tr '\0' '\n' <"/proc/$p/environ" >/dev/null 2>&1; readlink "/proc/$p/fd/6" | grep -qx "$CTR_RUN" && echo "$p"; done; }
no_viewer() { [ -z "$(viewers)" ]; }

want 0 "$CTR" run --rm --profile system --name a r sh -c 'cat /proc/stat; cat /proc/loadavg; grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online'
[ "$(awk '$1 == "cpu" { print ($2 + $4 < 100), ($5 < 3000) }' out)" = '1 1' ] || fail "that of the host, or nothing: $(cat out)"
[ "$(grep -c '^cpu[0-9]' out)" = "$(nproc)" ] || fail "other processors than it has: $(cat out)"
said out '0.00 0.00 0.00 '
# rewinding, as top(1) does
want 0 "$CTR" run --rm --profile system --name a r sh -c 'exec 3</proc/stat; dd bs=64 count=1 <&3 2>/dev/null | head -c 4; cat <&3 | tail -n 1; wc -c </proc/stat'
said out 'cpu '
said out softirq
# an application that was given no limit sees the kernel's
want 0 "$CTR" run --rm --name a r sh -c '! grep -q " /proc/stat " /proc/mounts'

want 0 "$CTR" run -d --profile system --name a r sleep 1000
viewer=$(viewers)
[ -n "$viewer" ] && [ "$(wc -w <<<"$viewer")" = 1 ] || fail "want one viewer: $viewer"
want 0 "$CTR" run -d --profile system --name b r sleep 1000
[ "$(viewers)" = "$viewer" ] || fail "another viewer: $(viewers)"
want 0 "$CTR" exec a sh -c 'cat /proc/stat; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; cat /proc/stat'
[ "$(awk '$1 == "cpu" { if (n++) print ($2 > u); u = $2 }' out)" = 1 ] || fail "time does not pass: $(cat out)"
[ "$(awk '$1 == "cpu" { print ($2 < 50) }' <<<"$("$CTR" exec b cat /proc/stat)")" = 1 ] || fail "the time of another"
want 1 "$CTR" exec a sh -c 'echo 1 >/proc/stat'
# nobody serves: what there was is read
kill -9 "$viewer"
soon no_viewer
want 0 "$CTR" exec a grep -c '^cpu' /proc/stat
want 0 "$CTR" run -d --profile system --name c r sleep 1000
[ -n "$(viewers)" ] || fail "no other viewer"
want 0 "$CTR" exec b cat /proc/loadavg
want 0 "$CTR" rm -f a b c
soon no_viewer
nothing_left
