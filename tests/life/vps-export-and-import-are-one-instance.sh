#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An instance goes to another root (another machine, as far as ctr knows) as one file, with configuration, image, what was written and
# snapshots, and is the same there; what does not fit is told, all at once and before anything is changed; a file that is damaged or
# hostile changes nothing.
. "$TESTS/life/vps.bash"
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
rootfs r
mkdir -p r/d r/keep && echo a >r/d/a && echo b >r/d/b
tar -C r -cf r.tar . && want 0 "$CTR" image import r.tar box:1
there() { CTR_ROOT=$PWD/there CTR_RUN=$PWD/run-there "$@"; }
mkdir there run-there && chmod 700 there
trap 'there "$CTR" rm -f "*" >/dev/null 2>&1; "$CTR" rm -f "*" >/dev/null 2>&1; umount run-there/mounts 2>/dev/null' EXIT
tree() { (cd "$1" && find . -printf '%p %y %m %U %G %n %l %T@\n' | sort; find . -type f -exec sha256sum {} + | sort -k2); }
same() { # same NAME [NAME THERE]: the same files in both places
	rm -rf x y && mkdir x y
	"$CTR" export --rootfs "$1" | tar -C x -xpf - || fail "$1 here"
	there "$CTR" export --rootfs "${2-$1}" | tar -C y -xpf - || fail "${2-$1} there"
	# of another name: what says the name
	[ -z "${2-}" ] || touch -d @0 x x/etc x/etc/host{s,name} y y/etc y/etc/host{s,name}
	[ -z "${2-}" ] || { grep -q "$2" y/etc/hosts && [ "$(cat y/etc/hostname)" = "$2" ] && cp -p x/etc/host{s,name} y/etc && touch -d @0 y/etc; } || fail "it is not called $2: $(cat y/etc/hosts)"
	diff <(tree x) <(tree y) >difference || fail "$1 is another there: $(head -20 difference)"
}
nothing_there() { # but what was there before
	[ "$(there "$CTR" list -q | sort | xargs)" = "${1-}" ] || fail "there: $(there "$CTR" list -q | xargs)"
	[ -z "$(find there/tmp -mindepth 1 2>/dev/null)" ] || fail "left: $(find there/tmp -mindepth 1)"
}

# first it writes something, the second time something else, and stays
want 0 "$CTR" run --name one -e K=V box:1 sh -c 'if [ ! -e /state ]; then
		echo zero >/state; echo 1 >/one; rm /d/a; mkdir -p /n/m; ln /one /hard; ln -s /one /soft; chown 5:6 /one; mkfifo /pipe
		exit
	fi
	rm -r /d && mkdir /d && echo new >/d/new; echo later >/state
	dd if=/dev/zero of=/holes bs=1 count=1 seek=10000000 2>/dev/null; exec sleep 1000'
want 0 "$CTR" snapshot create one first
want 0 "$CTR" start one
for ((i = 0; i < 100; i++)); do "$CTR" exec one test -e /holes 2>/dev/null && break; sleep 0.05; done
# while it runs
want 0 "$CTR" export one -o one.tar
want 1 "$CTR" export one -o one.tar
said err 'File exists'
want 0 "$CTR" snapshot list one
[ "$(grep -c '^one@' out)" = 1 ] || fail "the export left a snapshot: $(cat out)"
want 0 there "$CTR" import --check one.tar
nothing_there
want 0 there "$CTR" import one.tar
[ "$(cat out)" = one ] || fail "not its name: $(cat out)"
same one
[ $(($(stat -c %s one.tar))) -lt 9000000 ] || fail "holes are in the file: $(stat -c %s one.tar)"
there "$CTR" inspect one >out || fail "it cannot be inspected"
said out '"K=V"'
want 0 there "$CTR" start one
# it is being written anew
for ((i = 0; i < 100; i++)); do
	want 0 there "$CTR" exec one cat /state
	[ "$(cat out)" = later ] && break
	sleep 0.05
done
[ "$(cat out)" = later ] || fail "not what was written: $(cat out)"
want 0 there "$CTR" stop -t 0 one
# its snapshot
want 0 "$CTR" stop -t 0 one
want 0 there "$CTR" rollback one first
want 0 "$CTR" rollback one first
same one
# through a pipe, compressed, under another name; the image is there already
"$CTR" export one | gzip | there "$CTR" import - two >out 2>err || fail "$(cat err)"
same one two
[ "$(there "$CTR" image ls -q | wc -l)" = 1 ] || fail "images: $(there "$CTR" image ls)"

# what does not fit
want 0 "$CTR" net create --subnet 10.5.0.0/24 far
mkdir vol && want 0 "$CTR" create --name needs -v "$PWD/vol:/v" --net far --after one box:1
want 0 "$CTR" export needs -o needs.tar
rmdir vol
want 6 there "$CTR" import needs.tar one
said err "the name 'one' is taken"
said err "there is no '$PWD/vol'"
said err "network 'far'"
want 6 there "$CTR" import --check needs.tar
nothing_there "one two"

# hostile
mkdir e && tar -C e -xf one.tar
pack() { tar -C e -cf bad.tar .; }
change() { # change PYTHON: of ctr-instance.json
	rm -rf e && mkdir e && tar -C e -xf one.tar && python3 - "$1" <<-'PY' && sums && pack
	import json, sys
	j = json.load(open('e/ctr-instance.json'))
	exec(sys.argv[1])
	json.dump(j, open('e/ctr-instance.json', 'w'))
	PY
}
sums() { (cd e && sha256sum ctr-instance.json layers/* >SHA256SUMS); }
refused() { # refused PATTERN
	there "$CTR" import bad.tar bad >out 2>err && fail "taken: $1"
	[ "$(grep -c '^ctr:' err)" = 1 ] && grep -qE -- "$1" err || fail "want '$1' in: $(cat err)"
	nothing_there "one two"
}
change 'j["layers"][0]["parent"] = 0' && refused 'layers'
change 'j["layers"][0] = 0' && refused 'layers'
change 'j["layers"] = []' && refused 'not complete'
change 'j["state"]["layer"] = 99' && refused 'state'
change 'j["format"] = 2' && refused 'format 2'
change 'j["snapshots"][0]["name"] = "../../x"' && refused "snapshot's name"
change 'j["image"] = "0" * 64' && refused 'another image than it holds'
change 'c = json.loads(j["config"]); c["image-id"] = j["image"] = "1" * 64; j["config"] = json.dumps(c)' && refused 'names image 1111'
change 'j["config"] = "{}x"' && refused 'config'
change 'j["name"] = "../x"' && { there "$CTR" import bad.tar >out 2>err && fail "taken"; said err "name"; nothing_there "one two"; }
rm -rf e && mkdir e && tar -C e -xf one.tar && rm e/layers/0.tar && pack && refused "layers/0.tar"
rm -rf e && mkdir e && tar -C e -xf one.tar && rm e/layers/0.tar && sums && pack && refused "layer 0"
rm -rf e && mkdir e && tar -C e -xf one.tar && rm e/layers/0.tar && ln -s /etc/passwd e/layers/0.tar && pack && refused "layers/0.tar"
rm -rf e && mkdir e && tar -C e -xf one.tar && rm e/layers/0.tar && mkfifo e/layers/0.tar && pack && refused "layers/0.tar"
head -c 100000 one.tar >bad.tar && refused 'bad.tar'
echo x >bad.tar && refused 'bad.tar'
rm bad.tar && want 0 "$CTR" export --rootfs one -o bad.tar && refused 'no instance that'
mkdir -p w/d && : >w/.wh.d && : >w/d/.wh..wh..opq && : >w/d/.wh.b && rm -rf e && mkdir e && tar -C e -xf one.tar && tar -C w -cf e/layers/0.tar . && sums && pack
there "$CTR" import bad.tar odd >out 2>err && want 0 there "$CTR" rm -f odd

# killed at any moment: nothing, or all of it
for ((i = 0; i < 12; i++)); do
	there "$CTR" import one.tar victim >/dev/null 2>&1 &
	sleep "0.$((i * 4 / 10))$((i * 4 % 10))"
	kill -9 $! 2>/dev/null
	wait $! 2>/dev/null || :
	left=$(there "$CTR" list -q | grep victim || :)
	if [ -n "$left" ]; then
		want 0 there "$CTR" export --rootfs victim -o whole.tar && rm whole.tar
		want 0 there "$CTR" rm -f victim
	fi
done
# the name in files of a frozen layer
want 0 there "$CTR" rename two three
want 0 there "$CTR" start three
want 0 there "$CTR" exec three cat /etc/hostname
[ "$(cat out)" = three ] || fail "renamed, and called $(cat out)"
want 0 there "$CTR" rm -f one three
want 0 there "$CTR" image prune --all
# a killed import may have left layers that the next command that makes or removes such takes away
want 0 there "$CTR" create --name last "$PWD/r"
want 0 there "$CTR" snapshot create last s
want 0 there "$CTR" snapshot rm last s
want 0 there "$CTR" rm -f last
left=$(find there/frozen there/tmp there/layers there/roots -mindepth 1 -maxdepth 1 2>/dev/null)
[ -z "$left" ] || fail "left: $left"
