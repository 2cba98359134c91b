#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each instance has 65536 host ids of its own; files on disk carry the ids of inside, and are shared by all.
. "$TESTS/life/vps.bash"
rootfs r
want 0 "$CTR" run --rm r cat /proc/self/uid_map /proc/self/gid_map
[ "$(awk '$1 == 0 && $3 == 65536' out | wc -l)" = 2 ] || fail "maps: $(cat out)"
# while they live no two have the same
for ((i = 0; i < 20; i++)); do
	want 0 "$CTR" run -d --name "i$i" r sleep 100
done
for ((i = 0; i < 20; i++)); do
	awk '{ print $2 }' "/proc/$(field "i$i" pid)/uid_map"
done >firsts
[ "$(sort -u firsts | wc -l)" = 20 ] || fail "ranges are shared: $(sort firsts | uniq -d)"
[ "$(sort -n firsts | head -n 1)" -ge 1073741824 ] || [ -e /etc/subuid ] || fail "ids below the range: $(cat firsts)"
# process 1 is nobody on the host, and cannot touch what root owns
pid=$(field i0 pid)
[ "$(stat -c %u "/proc/$pid")" -ge 65536 ] || fail "it runs as host user $(stat -c %u "/proc/$pid")"
# on disk: the ids of inside
want 0 "$CTR" exec i0 sh -c 'echo x >/tmp/f; chown 33:44 /tmp/f; mkdir /tmp/d; chown 65534 /tmp/d'
want 0 "$CTR" exec i0 stat -c '%u %g' /tmp/f
said out '33 44'
[ "$(stat -c '%u %g' "$CTR_ROOT/instances/i0/layer/upper/tmp/f")" = '33 44' ] || fail "on disk: $(stat -c '%u %g' "$CTR_ROOT/instances/i0/layer/upper/tmp/f")"
# changing what belongs to the image copies it up, and leaves the image alone
want 0 "$CTR" exec i0 sh -c 'chown www /etc/passwd && echo y >>/etc/passwd'
[ "$(stat -c %u r/etc/passwd)" = 0 ] && ! grep -q y$ r/etc/passwd || fail "the image was changed"
# the same instance keeps its files and its ids over a restart
before=$(awk '{ print $2 }' "/proc/$pid/uid_map")
want 0 "$CTR" stop i0
want 0 "$CTR" start i0
want 0 "$CTR" exec i0 cat /tmp/f
said out x
[ "$(awk '{ print $2 }' "/proc/$(field i0 pid)/uid_map")" = "$before" ] || fail "its ids changed"
# a user beyond the range does not exist
want 125 "$CTR" run --rm -u 65536 r true
said err "not one of the instance's 65536 ids"
want 125 "$CTR" run --rm -u 4294967295 r true
want 0 "$CTR" run --rm -u 65535:65535 r id -u
said out 65535
# shared with the host only when that is said
want 0 "$CTR" run --rm --userns host r cat /proc/self/uid_map
[ "$(awk '$1 == 0 && $2 == 0' out)" ] || fail "--userns=host: $(cat out)"
# the table of ranges is a cache: what it knew is found again
rm "$CTR_RUN/idrange"
want 0 "$CTR" run -d --name j r sleep 100
first=$(awk '{ print $2 }' "/proc/$(field j pid)/uid_map")
! grep -qx "$first" firsts || fail "range $first has two owners"
want 0 "$CTR" rm -f 'i*' j
nothing_left
