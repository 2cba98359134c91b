#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ctr exec`: the same namespaces, ids, capabilities and filter as the payload's, its own exit code and streams.
. "$TESTS/life/vps.bash"
rootfs r
want 0 "$CTR" run -d --name a -e A=1 -w /tmp r sleep 100
for code in 0 1 42 255; do
	want $code "$CTR" exec a sh -c "exit $code"
done
want 127 "$CTR" exec a /no/such
want 126 "$CTR" exec a /etc/passwd
want 125 "$CTR" exec nosuch true
want 125 "$CTR" exec a
"$CTR" exec a sleep 50 &
sleep 0.3
want 0 "$CTR" exec a sh -c 'kill -9 $(pidof sleep | tr " " "\n" | sort -n | tail -n 1)'
wait $!
[ $? = 137 ] || fail "killed by a signal"
for ns in pid mnt uts ipc net cgroup user time; do
	want 0 "$CTR" exec a readlink /proc/self/ns/$ns
	[ "$(cat out)" = "$(readlink "/proc/$(field a pid)/ns/$ns")" ] || fail "namespace $ns differs"
done
want 0 "$CTR" exec a grep -E '^(Cap|Seccomp|NoNewPrivs)' /proc/self/status
"$CTR" exec a grep -E '^(Cap|Seccomp|NoNewPrivs)' /proc/1/status >one
cmp one out || fail "confined otherwise: $(diff one out)"
want 0 "$CTR" exec -e B=2 a sh -c 'echo $A$B $container; pwd; hostname'
[ "$(tr '\n' ' ' <out)" = '12 ctr /tmp a ' ] || fail "environment: $(cat out)"
want 0 "$CTR" exec -w / -u www a sh -c 'pwd; id -u; echo $HOME'
[ "$(tr '\n' ' ' <out)" = '/ 33 /var/www ' ] || fail "-w -u: $(cat out)"
head -c 5000000 /dev/urandom >big
"$CTR" exec -i a cat <big | cmp - big || fail "5 MB through exec"
echo x | "$CTR" exec a cat >got
[ ! -s got ] || fail "input passed without -i"
want 0 "$CTR" exec -d a sh -c 'sleep 0.3; echo done >/tmp/done'
soon "$CTR" exec a test -e /tmp/done
# descriptors of ours do not come along
want 0 "$CTR" exec a sh -c 'ls /proc/self/fd | wc -l'
[ "$(cat out)" -le 4 ] || fail "descriptors leak: $(cat out)"
want 0 "$CTR" stop a
want 125 "$CTR" exec a true
said err 'does not run'
want 0 "$CTR" rm a
nothing_left
