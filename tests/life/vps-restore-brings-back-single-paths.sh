#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ctr restore NAME SNAP -- PATH`: what was changed, removed or added below a path is as the snapshot has it, in a running instance and in
# a stopped one, also in directories of the image; the rest stays; nothing leads out; a kill leaves old or new. `ctr cp` reads snapshots.
. "$TESTS/life/vps.bash"
rootfs r
mkdir -p r/opt/app && echo of-the-image >r/opt/app/file
want 0 "$CTR" run -d --name web --net none r sh -c 'while :; do sleep 1; done'
inside() { want 0 "$CTR" exec web sh -c "$1"; }
inside 'mkdir -p /srv/data/sub && echo one >/srv/data/a && echo two >/srv/data/sub/b && chown -R 33:44 /srv/data && chmod 640 /srv/data/a && ln -s /etc/passwd /srv/data/link; echo first >/root/note'
want 0 "$CTR" snapshot create web s1
spoil='rm -rf /srv/data/sub; echo changed >/srv/data/a; chown 0:0 /srv/data/a; echo new >/srv/data/new; rm /opt/app/file; echo more >/opt/app/more; echo second >/root/note'
look='cat /srv/data/a /srv/data/sub/b; stat -c "%a %u:%g" /srv/data/a /srv/data; readlink /srv/data/link; ls /srv/data /opt/app; cat /root/note'
"$CTR" exec web sh -c "$look" >first
for how in runs stopped; do
	inside "$spoil"
	[ $how = runs ] || want 0 "$CTR" stop -t 0 web
	want 0 "$CTR" restore web s1 -- /srv/data /opt/app
	[ $how = runs ] || want 0 "$CTR" start web
	"$CTR" exec web sh -c "$look" >now
	diff <(sed '$s/first/second/' first) now || fail "$how: not what was there"
done
want 0 "$CTR" restore web s1 /root/note
"$CTR" exec web sh -c "$look" >now
diff first now || fail "a single file"
# what is gone with its directory; what never was; all of it; a name that leads elsewhere
inside 'rm -rf /srv'
want 3 "$CTR" restore web s1 /srv/data/a
said err "its directory is not there any more"
want 0 "$CTR" restore web s1 /srv
want 3 "$CTR" restore web s1 /srv/nothing
want 2 "$CTR" restore web s1 /
said err 'rollback web s1'
want 3 "$CTR" restore web s2 /srv
inside 'rm -rf /srv && ln -s /../../../../etc /srv'
want 0 "$CTR" restore web s1 /srv/data
[ ! -e /etc/data ] || fail "it was led out"
inside 'rm -r /etc/data'
inside 'rm /srv; ls -A / /root | grep ctr-restore && exit 1; true'
want 0 "$CTR" restore web s1 /srv
# a kill at any moment: what was there, or what will be
head -c 20000000 /dev/urandom >big
want 0 "$CTR" cp big web:/srv/data/big
want 0 "$CTR" snapshot create web s2
for after in 0.001 0.004 0.01 0.02 0.04; do
	inside 'echo old >/srv/data/a'
	timeout -s KILL $after "$CTR" restore web s2 /srv/data
	case $("$CTR" exec web cat /srv/data/a) in old | one) ;; *) fail "killed after $after s: $("$CTR" exec web ls -l /srv/data)" ;; esac
	cmp <("$CTR" exec web cat /srv/data/big) big || fail "killed after $after s: another file is spoilt"
done
want 0 "$CTR" restore web s2 /srv/data
inside '! ls -A /srv | grep ctr-restore'
[ "$("$CTR" exec web cat /srv/data/a)" = one ] || fail "after the kills"
# copies of a snapshot
want 0 "$CTR" cp web@s1:/srv/data/a copy
[ "$(cat copy)" = one ] || fail "cp: $(cat copy)"
want 0 "$CTR" cp web@s1:/root/note web:/root/note2
[ "$("$CTR" exec web cat /root/note2)" = first ] || fail "cp into the instance"
want 2 "$CTR" cp copy web@s1:/srv
want 0 "$CTR" rm -f web
gone() { [ -z "$(find "$CTR_ROOT/frozen" "$CTR_ROOT/instances/.tmp" -mindepth 1)" ]; }
soon gone
nothing_left
