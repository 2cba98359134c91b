#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An image whose command is an init is a system: booted with a console, its own machine-id and cgroup, ended as inits end.
. "$TESTS/life/vps.bash"
rootfs r
mkdir r/sbin
ln -s ../bin/busybox r/sbin/init
cat >r/etc/inittab <<-'END'
	::sysinit:/bin/echo booted
	::respawn:/bin/sleep 1000
	::shutdown:/bin/echo going down
END
want 0 "$CTR" run -d --name s r
soon logged s 'booted'
[ "$("$CTR" inspect s | grep -c '"system": true')" = 1 ] || fail "not taken for a system: $("$CTR" inspect s)"
want 0 "$CTR" exec s sh -c 'tr "\0" " " </proc/1/cmdline; cat /etc/machine-id; echo $container $container_uuid; test -c /dev/console; grep -q " /run tmpfs" /proc/mounts && echo run; mkdir /sys/fs/cgroup/own && rmdir /sys/fs/cgroup/own && echo cgroup'
said out init
said out run
said out cgroup
[ "$(grep -c "$(field s uuid)" out)" = 2 ] || fail "machine-id and container_uuid: $(cat out)"
# its limits are not its to write
at=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
group=$at$(sed -n 's/^0:://p' "/proc/$(field s pid)/cgroup")
[ "$(stat -c %u "$group")" = "$(awk '{ print $2 }' "/proc/$(field s pid)/uid_map")" ] || fail "the cgroup is not its own"
for file in "$group"/*.max; do
	[ ! -e "$file" ] || [ "$(stat -c %u "$file")" = 0 ] || fail "$file belongs to the instance"
done
want 0 "$CTR" stop s
"$CTR" logs s | grep -q 'going down' || fail "it was not asked: $("$CTR" logs s)"
[ "$(field s code)" = 0 ] || fail "a power-off is a good end: $(field s code)"
# a second boot is like the first, with the same identity
want 0 "$CTR" start s
soon "$CTR" exec s pidof sleep
want 0 "$CTR" exec s cat /etc/machine-id
[ "$(cat out)" = "$(field s uuid)" ] || fail "machine-id changed: $(cat out)"
# a reboot from inside is a start anew, a power-off from inside an end
pid=$(field s pid)
want 0 "$CTR" exec s reboot -f
booted_again() { [ "$(field s status)" = running ] && [ "$(field s pid)" != "$pid" ]; }
soon booted_again
soon "$CTR" exec s pidof sleep
want 0 "$CTR" exec s cat /etc/machine-id
[ "$(cat out)" = "$(field s uuid)" ] || fail "machine-id changed by a reboot: $(cat out)"
"$CTR" exec s poweroff -f >/dev/null 2>&1
soon is s status stopped
sleep 0.3
is s status stopped || fail 'a power-off is no end'
want 0 "$CTR" rm -f s
# and two have two
want 0 "$CTR" run -d --name s r
want 0 "$CTR" run -d --name t r
[ "$(field s uuid)" != "$(field t uuid)" ] || fail "one identity for two"
want 0 "$CTR" rm -f s t
# the same image with another command is an application, and either can be said
want 0 "$CTR" run --name s r true
[ "$("$CTR" inspect s | grep -c '"system"')" = 0 ] || fail "an application taken for a system"
want 0 "$CTR" rm s
want 0 "$CTR" run --profile system --name s r grep -q ' /run tmpfs' /proc/mounts
want 0 "$CTR" rm s
nothing_left
