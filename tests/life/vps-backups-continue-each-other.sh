#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A full backup and those that continue it give the instance back as it was at the last of them, whether it ran meanwhile or not; what is
# damaged, missing or in the wrong order is told, and nothing is left behind; a verification restores all of it, and leaves nothing.
. "$TESTS/life/vps.bash"
rootfs r
mkdir -p r/d r/keep && echo a >r/d/a && echo b >r/d/b && head -c 3000000 /dev/urandom >r/big
tar -C r -cf r.tar . && want 0 "$CTR" image import r.tar box:1
there() { CTR_ROOT=$PWD/there CTR_RUN=$PWD/run-there "$@"; }
mkdir there run-there && chmod 700 there
trap 'there "$CTR" rm -f "*" >/dev/null 2>&1; "$CTR" rm -f "*" >/dev/null 2>&1; umount run-there/mounts 2>/dev/null' EXIT
tree() { (cd "$1" && find . -mindepth 1 ! -path ./etc/hosts ! -path ./etc/hostname ! -path ./etc -printf '%p %y %m %U %G %n %l %T@\n' | sort; find . -type f ! -path './etc/host*' -exec sha256sum {} + | sort -k2); }
same() { # same NAME THERE FILE...: what was exported as FILE is what THERE has
	rm -rf x y && mkdir x y
	tar -C x -xpf "$1" && there "$CTR" export --rootfs "$2" | tar -C y -xpf - || fail "$2 cannot be exported"
	diff <(tree x) <(tree y) >difference || fail "$2 is not as $1: $(head -20 difference)"
}
gone_there() { [ -z "$(find there/instances/.tmp -mindepth 1 2>/dev/null)" ]; }
nothing_there() {
	[ -z "$(there "$CTR" list -q)" ] || fail "there: $(there "$CTR" list -q | xargs)"
	[ -z "$(find there/tmp -mindepth 1 2>/dev/null)" ] || fail "left: $(find there/tmp -mindepth 1)"
	soon gone_there
}
does() { want 0 "$CTR" exec web sh -c "$1"; }

want 0 "$CTR" run -d --name web -e K=V box:1 sleep 1000
does 'echo 0 >/state; mkdir -p /n/m; echo x >/n/m/x; ln /n/m/x /n/y; head -c 2000000 /dev/urandom >/mine'
want 2 "$CTR" backup # no name
want 0 "$CTR" backup web -o full.tar
ONE=$(cat out)
[ -n "$ONE" ] || fail "it does not say how the snapshot is called"
want 0 "$CTR" export --rootfs web -o at-one.tar
# while it runs: added, changed, removed, replaced, attributes
sleep 1.1
does 'echo 1 >/state; rm /d/a; rm -r /n/m; echo new >/n/new; rm -r /keep; echo file >/keep; chown 5:6 /d/b; ln -s /state /soft; mkfifo /pipe; mkdir -p /e/f'
does 'dd if=/dev/zero of=/holes bs=1 count=1 seek=10000000 2>/dev/null'
"$CTR" backup web --since "$ONE" >two.tar 2>err || fail "$(cat err)"
TWO=$(sed -n 's/^web@\([^:]*\):.*/\1/p' err)
want 0 "$CTR" export --rootfs web -o at-two.tar
[ "$(stat -c %s two.tar)" -lt 200000 ] || fail "what has not changed is in the second: $(tar -tvf two.tar; ls -l two.tar)"
# once more, stopped and started in between: its layers are other ones then
want 0 "$CTR" stop -t 0 web
want 0 "$CTR" snapshot create web between
want 0 "$CTR" start web
does 'echo 2 >/state; rm /soft; echo again >/d/a; rm -r /d && mkdir /d && echo only >/d/only; rm /mine'
want 0 "$CTR" backup web --since "$TWO" -o three.tar --keep 2
THREE=$(cat out)
want 0 "$CTR" export --rootfs web -o at-three.tar
want 0 "$CTR" snapshot list -q web
[ "$(xargs <out)" = "web@$TWO web@between web@$THREE" ] || fail "snapshots after --keep 2: $(cat out)"
want 3 "$CTR" backup web --since "$ONE" -o four.tar
said err "no snapshot '$ONE'"
[ ! -e four.tar ] || fail "a failed backup leaves a file"
want 0 "$CTR" snapshot list -q web
[ "$(wc -l <out)" = 3 ] || fail "a failed backup leaves a snapshot: $(cat out)"
# stopped: a layer each
want 0 "$CTR" stop -t 0 web
want 0 "$CTR" backup web --since "$THREE" -o four.tar
FOUR=$(cat out)

# as they were
want 0 there "$CTR" backup restore full.tar
[ "$(cat out)" = web ] || fail "$(cat out)"
same at-one.tar web
want 0 there "$CTR" backup restore -n two full.tar two.tar
same at-two.tar two
want 0 there "$CTR" start two
want 0 there "$CTR" exec two cat /state /keep
[ "$(xargs <out)" = "1 file" ] || fail "$(cat out)"
want 0 there "$CTR" backup restore --name three full.tar two.tar three.tar four.tar
same at-three.tar three
want 0 there "$CTR" snapshot list -q three
[ "$(xargs <out)" = "three@$TWO three@between three@$THREE three@$FOUR" ] || fail "snapshots there: $(cat out)"
want 0 there "$CTR" rollback three "$TWO"
same at-two.tar three
want 0 there "$CTR" rollback three between
same at-two.tar three
# what was restored, alone, is backed up on
want 0 there "$CTR" rm -f '*'
want 0 there "$CTR" backup restore full.tar two.tar three.tar four.tar
same at-three.tar web
want 0 there "$CTR" rollback web "$TWO"
want 0 there "$CTR" backup web --since "$FOUR" -o five.tar
want 0 there "$CTR" rm -f '*'
want 0 there "$CTR" backup restore full.tar two.tar three.tar four.tar five.tar
same at-two.tar web
want 0 there "$CTR" rm -f web
nothing_there

# layers that nobody can go to any more are one in the file
want 0 "$CTR" create --name deep box:1 sh -c 'n=$(cat /n/n || echo 0); rm -rf /n; mkdir /n; echo $n >/state; : >/file-$n; rm -f /file-$((n - 1)); echo $((n + 1)) >/n/n'
for i in 0 1 2 3 4; do
	want 0 "$CTR" start deep
	want 0 "$CTR" wait deep
	want 0 "$CTR" snapshot create deep "s$i"
done
want 0 "$CTR" snapshot rm deep s0 s1 s3
want 0 "$CTR" export --rootfs deep -o at-deep.tar
want 0 "$CTR" export deep -o deep.tar
[ "$(tar -tf deep.tar | grep -c '^layers/')" -le 3 ] || fail "layers in the file: $(tar -tf deep.tar)"
want 0 there "$CTR" import deep.tar
same at-deep.tar deep
want 0 there "$CTR" rollback deep s2
want 0 there "$CTR" cp deep:/state got
[ "$(cat got)" = 2 ] || fail "s2 of what was merged: $(cat got)"
want 0 there "$CTR" rm deep
want 0 "$CTR" rm deep

# the drill
want 0 "$CTR" backup verify full.tar
said out "whole: 'web'"
want 0 "$CTR" backup verify --json full.tar two.tar three.tar
python3 -c 'import json; j = json.load(open("out")); assert j["name"] == "web" and j["consistency"] and j["files"] > 250 and j["bytes"] > 3000000 and j["snapshots"] == 4, j' || fail "$(cat out)"
want 0 "$CTR" list -q
[ "$(cat out)" = web ] || fail "a drill made $(cat out)"
[ -z "$(find "$CTR_ROOT/instances/.tmp" -mindepth 1)" ] || fail "a drill left $(find "$CTR_ROOT/instances/.tmp" -mindepth 1)"
# nor does one that is killed
"$CTR" backup verify full.tar two.tar three.tar >/dev/null 2>&1 &
sleep 0.1
kill -9 $!
wait $! 2>/dev/null
gone() { "$CTR" list -q >/dev/null; [ -z "$(find "$CTR_ROOT/instances/.tmp" -mindepth 1)" ]; }
soon gone

# out of order, damaged, cut off, another's
refused() { # refused PATTERN FILE...
	local pattern=$1 verb
	shift
	for verb in 'restore -n bad' verify; do
		there "$CTR" backup $verb "$@" >out 2>err && fail "$verb takes $*"
		[ "$(grep -c '^ctr:' err)" = 1 ] && grep -qE -- "$pattern" err || fail "want '$pattern' of $verb in: $(cat err)"
		nothing_there
	done
}
refused 'full one comes first|is to come before it' two.tar
refused 'is to come before it' full.tar three.tar
head -c $(($(stat -c %s full.tar) - 200000)) full.tar >bad.tar && refused 'bad.tar' bad.tar
mkdir e && tar -C e -xf full.tar && last=$(ls e/layers | tail -n 1)
python3 - "e/layers/$last" <<-'PY'
	import sys
	f = open(sys.argv[1], 'r+b'); d = f.read(); at = d.rindex(b'0\n') if b'0\n' in d else len(d) // 2
	f.seek(at); f.write(b'7')
PY
tar -C e -cf bad.tar . && refused "layers/$last' in it is damaged" bad.tar
rm e/SHA256SUMS && tar -C e -cf bad.tar . && refused 'its end is missing' bad.tar
want 0 "$CTR" run --name other box:1 sh -c 'echo >/other'
want 0 "$CTR" backup other -o other.tar
refused 'is to come before it' other.tar two.tar
# a name that looks like a whiteout cannot be told in what is new
want 0 "$CTR" start web
does ': >/.wh.x'
want 6 "$CTR" backup web --since "$FOUR" -o bad2.tar
said err "whiteout"
want 0 "$CTR" rm -f '*'
soon gone # layers go in the background
nothing_left
left=$(find "$CTR_ROOT/frozen" there/frozen -mindepth 1 -maxdepth 1 2>/dev/null)
[ -z "$left" ] || fail "layers left: $left"
