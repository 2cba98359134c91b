#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A snapshot is the instance's files of that moment, whether it ran or not; a rollback brings them back, exactly, and what was
# removed stays removed; a mounted one can be read; the last to need a layer takes it along.
. "$TESTS/life/vps.bash"
rootfs r
echo image >r/etc/from-image
mkdir r/opt && echo gone >r/opt/gone && echo kept >r/opt/kept
inside() { want 0 "$CTR" exec web sh -c "$1"; }
tree() { # of the instance: what is there, with modes, owners and content
	want 0 "$CTR" exec web sh -c 'cd / && find etc opt root srv tmp var data* 2>/dev/null | sort | xargs stat -c "%n %a %u:%g %s" && cat data* /etc/from-image /opt/* 2>/dev/null'
	cat out
}
want 0 "$CTR" create --name web r sh -c 'while :; do sleep 1; done'
want 0 "$CTR" start web
inside 'echo one >/data; chown 33:44 /data; chmod 640 /data; rm /opt/gone; rm -r /var; mkdir /var /srv; ln /data /data2; echo x >/etc/from-image'
tree >first
want 0 "$CTR" stop -t 0 web
want 0 "$CTR" snapshot create web s1
[ "$(cat out)" = 'web@s1: application-consistent' ] || fail "$(cat out)"
want 4 "$CTR" snapshot create web s1
want 1 "$CTR" snapshot create web ../s
want 3 "$CTR" snapshot create nosuch s
# of one that runs: it stood still meanwhile, and went on
want 0 "$CTR" start web
inside 'echo two >/data; rm -r /opt; mkdir /opt; echo new >/opt/new; mknod /tmp/fifo p'
tree >second
want 0 "$CTR" snapshot create web s2
grep -qE '^web@s2: filesystem-consistent, stood still for [0-9.]+ ms$' out || fail "$(cat out)"
inside 'echo three >/data; rm -rf /srv'
want 4 "$CTR" rollback web s1
said err 'stop web'
want 0 "$CTR" stop -t 0 web
want 0 "$CTR" snapshot create --json web s3
want 0 "$CTR" snapshot list -q
[ "$(cat out)" = $'web@s1\nweb@s2\nweb@s3' ] || fail "$(cat out)"
for s in 2:second 1:first 2:second; do
	want 0 "$CTR" rollback web "s${s%:*}"
	want 0 "$CTR" start web
	tree >now
	diff "${s#*:}" now || fail "s${s%:*} is not what was there"
	inside 'echo spoilt >/data; rm -rf /opt'
	want 0 "$CTR" stop -t 0 web
done
want 0 "$CTR" rollback --keep before web s1
want 0 "$CTR" rollback web before
want 0 "$CTR" start web
[ "$("$CTR" exec web cat /data)" = spoilt ] || fail "--keep did not keep"
want 0 "$CTR" stop -t 0 web
want 3 "$CTR" rollback web s4
said err "has no snapshot 's4', did you mean 's"
want 0 "$CTR" start web
# read without starting, and without a way to write
mkdir m
unshare -m bash -c '
	"$0" snapshot mount web s2 m || exit 1
	[ "$(cat m/data) $(cat m/opt/new) $(stat -c %u:%g:%a m/data)" = "two new 33:44:640" ] || { ls -l m m/opt; exit 1; }
	[ ! -e m/opt/kept ] || exit 1
	! touch m/x 2>/dev/null' "$CTR" || fail "snapshot mount"
# --keep removes those that were made by schedule, and no others
for i in 1 2 3 4; do want 0 "$CTR" snapshot create --scheduled --keep 2 web "auto$i"; done
want 0 "$CTR" snapshot list -q web
[ "$(grep -c auto out) $(wc -l <out)" = '2 6' ] || fail "--keep: $(cat out)"
# prune: by number, by age, scheduled ones unless all are meant
want 2 "$CTR" snapshot prune web
want 4 "$CTR" snapshot prune --strict --older-than 1h web
want 0 "$CTR" snapshot prune --older-than 1h
want 0 "$CTR" snapshot create --scheduled web auto5
want 0 "$CTR" snapshot prune --keep 2 web
[ "$(cat out)" = "web: 1 removed" ] || fail "prune: $(cat out)"
want 0 "$CTR" snapshot list -q web
[ "$(grep auto out | xargs)" = "web@auto4 web@auto5" ] || fail "prune: $(cat out)"
want 4 "$CTR" snapshot prune --strict --all --keep 1 --older-than 1h 'w*'
want 0 "$CTR" snapshot rm web auto5
want 0 "$CTR" snapshot list --json
python3 -c 'import json; d = json.load(open("out")); assert d["version"] == 1 and d["snapshots"][0]["consistency"] == "application", d' || fail "$(cat out)"
want 3 "$CTR" snapshot rm web s9
want 0 "$CTR" snapshot rm web s1 s2 s3 before auto4
want 0 "$CTR" exec web cat /data
want 0 "$CTR" rm -f web
gone() { [ -z "$(find "$CTR_ROOT/frozen" "$CTR_ROOT/instances/.tmp" -mindepth 1)" ]; }
soon gone
