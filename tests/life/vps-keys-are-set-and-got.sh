#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every option of `ctr run` is a key that can be changed later, by its own grammar; a limit of a running instance at once.
. "$TESTS/life/vps.bash"
rootfs r
want 0 "$CTR" create --name web -e A=1 -e B=2 -e A=3 -l team=shop --net none r sleep 1000
want 0 "$CTR" get web env
[ "$(sort out)" = "$(printf 'A=3\nB=2')" ] || fail "of one name the last: $(cat out)"

# scalars, lists, flags
want 0 "$CTR" set web memory=512M cpus=1.5 hostname=shop.example read-only=yes stop-timeout=0 description='the shop'
want 0 "$CTR" get web
for line in memory=512M cpus=1.5 hostname=shop.example read-only=yes stop-timeout=0 'description=the shop' label=team=shop; do
	grep -qxF "$line" out || fail "no '$line' in: $(cat out)"
done
want 0 "$CTR" set web env+=C=x=y env-=B
want 0 "$CTR" get web env
[ "$(cat out)" = "$(printf 'A=3\nC=x=y')" ] || fail "added and taken: $(cat out)"
want 0 "$CTR" set web env=D=1 env=E=2
want 0 "$CTR" get web env
[ "$(cat out)" = "$(printf 'D=1\nE=2')" ] || fail "replaced: $(cat out)"
want 0 "$CTR" set web 'command=["sleep","2000"]' cap-add=net_admin volume="./r:/mnt"
want 0 "$CTR" get web command
[ "$(cat out)" = "$(printf 'sleep\n2000')" ] || fail "an array: $(cat out)"
want 0 "$CTR" get --json web cap-add volume memory
said out '"CAP_NET_ADMIN"'
said out "\"$PWD/r:/mnt\""
said out '"memory": 536870912'
want 0 "$CTR" unset web read-only hostname memory cpus volume
want 0 "$CTR" get web
! grep -qE '^(read-only|hostname|memory|cpus|volume)=' out || fail "unset: $(cat out)"

# what get prints, set takes
want 0 "$CTR" create --name other --net none r true
"$CTR" get web | grep -vE '^(uuid|created|image|image-id|rootfs|ids|system|userns|address)=' >lines
mapfile -t words <lines
want 0 "$CTR" set other "${words[@]}"
"$CTR" get other | grep -vE '^(uuid|created|image|image-id|rootfs|ids|system|userns|address)=' | diff lines - || fail 'not the same again'

# refusals change nothing
cp "$CTR_ROOT/instances/web/config.json" before
refused() { # refused CODE TEXT WORD...
	local code=$1 text=$2
	shift 2
	want "$code" "$CTR" set "$@"
	said err "$text"
	cmp -s before "$CTR_ROOT/instances/web/config.json" || fail "'$*' changed it"
}
refused 1 "unknown key 'memori', did you mean 'memory'?" web memori=1G
refused 1 'memory: 4096 is too little' web memory=4k
refused 1 "memory: 'x' is not a size" web pids=5 memory=x
refused 1 "env: 'A' is not NAME=VALUE" web 'env=["A"]'
refused 1 "tty: 'perhaps' is neither yes nor no" web tty=perhaps
refused 1 'uuid: was decided when the instance was made' web uuid=0123456789abcdef0123456789abcdef
refused 1 'pids: is no list' web pids+=5
refused 3 "'Z' is not there" web env-=Z
refused 1 "net: 'host' goes with no other network" web net=host net=none
refused 1 'publish: needs a network' web publish=80:80
refused 1 "cpuset: 'x' is no list of processors" web cpuset=x
refused 1 "io: 'rpps=1' is not" web io=rpps=1
refused 1 "io: 'wbps=0'" web io=wbps=0
refused 2 'no KEY=VALUE is given' web other
refused 2 'no NAME is given' memory=1G pids=1
refused 3 "no instance 'wed'" wed pids=1
want 0 "$CTR" set web pids=77
want 0 "$CTR" set web pids=77
said err 'is so already'
want 4 "$CTR" set --strict web pids=77
want 0 "$CTR" set '*' label+=all=yes
want 0 "$CTR" get other label
said out all=yes

# of a running one: what needs a start is said, what a command reads is not
want 0 "$CTR" set web pids=
want 0 "$CTR" start web
want 0 "$CTR" set web env=F=1
said err 'from its next start on'
want 0 "$CTR" set web description=two
[ ! -s err ] || fail "said: $(cat err)"
group=$(sed -n 's/^0:://p' "/proc/$(field web pid)/cgroup")
if [ -w "/sys/fs/cgroup$group/pids.max" ]; then
	want 0 "$CTR" set web pids=99
	[ "$(cat "/sys/fs/cgroup$group/pids.max")" = 99 ] || fail 'not live'
	want 0 "$CTR" unset web pids
	[ "$(cat "/sys/fs/cgroup$group/pids.max")" = 512 ] || fail 'not as before'
else
	cp "$CTR_ROOT/instances/web/config.json" before
	refused 6 'pids: the pids controller is not available' web pids=99
fi
want 0 "$CTR" events --json
said out '"detail":"env=F=1"'

# an editor; what it makes wrong changes nothing
want 0 env VISUAL= EDITOR='sed -i s/two/three/' "$CTR" edit web
want 0 "$CTR" get web description
[ "$(cat out)" = three ] || fail "edited: $(cat out)"
cp "$CTR_ROOT/instances/web/config.json" before
want 1 env VISUAL='sed -i s/"description"/"desription"/' "$CTR" edit web
want 1 env VISUAL=false "$CTR" edit web
want 1 env VISUAL='sed -i s/\"uuid\":.*/\"uuid\":\"0123456789abcdef0123456789abcdef\",/' "$CTR" edit web
said err 'was decided when'
cmp -s before "$CTR_ROOT/instances/web/config.json" || fail 'a failed edit changed it'

# logs are bounded as asked
want 0 "$CTR" run -d --name log --log-size 64k --log-files 4 --net none r sh -c 'yes 0123456789 | head -n 60000; echo over; sleep 1000'
all_written() { [ "$("$CTR" logs log 2>/dev/null | tail -n 1)" = over ]; } # until then files are moved on
soon all_written
[ -e "$CTR_ROOT/instances/log/log.3" ] || fail 'fewer files than asked'
[ ! -e "$CTR_ROOT/instances/log/log.4" ] || fail 'more files than asked'
for file in log log.1 log.2 log.3; do
	[ "$(stat -c %s "$CTR_ROOT/instances/log/$file")" -lt 80000 ] || fail "$file is $(stat -c %s "$CTR_ROOT/instances/log/$file")"
done
want 0 "$CTR" logs log
[ "$(wc -l <out)" -gt 3800 ] || fail "lines: $(wc -l <out)"
want 0 "$CTR" rm -f web other log
nothing_left
