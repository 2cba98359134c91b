#!/bin/bash
# timeout: 240
# SPDX-License-Identifier: Apache-2.0
# An instance is suspended and goes on where it was; and it moves to another host while it runs, with its memory, its open files and its
# connections: who talks to it from outside has the next answer to each question, over the same connection. What cannot move is told before
# anything is done, and whatever fails, one copy is left, which goes on.
. "$TESTS/life/hosts.bash"
skip() { echo "$*"; exit 77; }
. "$TESTS/life/criu.bash"
rootfs r
cp "$BUILD/tests/life/echo" r/bin/echoes
tar -C r -cf r.tar . && want 0 "$CTR" image import r.tar box:1
here() { "$@"; }
move() { "$CTR" migrate --memory --ssh "$PWD/rsh" --remote-ctr "$CTR" "$@"; }
back() { there "$CTR" migrate --memory --ssh "$PWD/rsh-back" --remote-ctr "$CTR" "$@"; }
status() { "$1" "$CTR" inspect "$2" 2>/dev/null | sed -n 's/.*"status": "\(.*\)".*/\1/p'; }
one_copy() { # one_copy NAME WHERE: it runs there, and nowhere else
	[ "$(status here "$1") $(status there "$1")" = "$([ "$2" = here ] && echo 'running ' || echo ' running')" ] ||
		fail "$1: '$(status here "$1")' here and '$(status there "$1")' there: $(cat out err)"
}

# It counts, in its log and in a file; the number comes from memory alone, and descriptor 3 is a file that has no name any more.
limits=() # with one of memory, views are mounted too
grep -qs memory /sys/fs/cgroup/cgroup.controllers && limits=(--memory 100M)
want 0 "$CTR" run -d --name web --net lan --restart always "${limits[@]}" box:1 sh -c \
	'i=0; echo >>/starts; exec 3<>/gone; rm /gone; echo nameless >&3; while :; do i=$((i + 1)); echo $i; echo $i >/last; sleep 0.02; done' ||
	fail "run"
counted() { # it may just be written
	local v
	for _ in 1 2 3 4 5; do
		v=$("$1" "$CTR" exec web cat /last)
		[ -z "$v" ] || break
	done
	echo "$v"
}
counts() { [ "$(counted "$1")" -gt "$n" ] 2>/dev/null; }
goes_on() { # from $n
	soon counts "$1"
	[ "$("$1" "$CTR" exec web sh -c 'wc -l </starts; cat /proc/1/fd/3' | xargs)" = "1 nameless" ] || fail "$1: $("$1" "$CTR" exec web cat /starts /proc/1/fd/3)"
	n=$(counted "$1")
}
n=5
goes_on here

# suspended: nothing of it runs, and it goes on
up=$("$CTR" exec web cut -d. -f1 /proc/uptime)
want 0 "$CTR" suspend web
[ "$(status here web)" = suspended ] || fail "it is $(status here web)"
want 125 "$CTR" exec web true
want 4 "$CTR" suspend web
sleep 1
want 0 "$CTR" start web
goes_on here
[ "$("$CTR" exec web cut -d. -f1 /proc/uptime)" -ge "$up" ] || fail "its clock has gone back"
[ -e "$CTR_ROOT/instances/web/memory" ] && fail "memory that it left is still there"
logged() { "$CTR" logs web | grep -qx "$n"; }
soon logged
# killed in the middle of it, it was suspended or goes on
for delay in 0.01 0.05 0.1 0.2 0.4; do
	"$CTR" suspend web >out 2>err &
	pid=$!
	sleep $delay
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	at_rest() { case $(status here web) in suspended | running) ! pgrep -f "[c]riu swrk" >/dev/null ;; *) false ;; esac; }
	soon at_rest
	[ "$(status here web)" = running ] || want 0 "$CTR" start web
	goes_on here
done
want 0 "$CTR" suspend web
want 0 "$CTR" start --cold web
again() { [ "$("$CTR" exec web wc -l /starts | cut -d' ' -f1)" = 2 ]; }
soon again
want 0 "$CTR" exec web sh -c 'echo >/starts'
n=1
goes_on here

# what cannot move is told before anything is done
"$CTR" exec web sleep 1000 &
guest=$!
sleeps() { "$CTR" exec web ps | grep -q "sleep 1000"; }
soon sleeps
want 6 move --dry-run web b
said err "came by \`ctr exec\`"
want 6 "$CTR" suspend web
want 0 "$CTR" exec web kill -9 "$("$CTR" exec web ps | awk '/sleep 1000/ { print $1 }')"
wait $guest
nsenter -t "$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' <("$CTR" inspect web))" -n nft 'add table ip own; add chain ip own c; add rule ip own c drop'
want 6 move --dry-run web b
said err "packet filters of its own"
nsenter -t "$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' <("$CTR" inspect web))" -n nft 'delete table ip own'
want 0 "$CTR" run -d --name nested --net none --cap-add SYS_ADMIN r sh -c 'unshare -u sleep 1000 & wait'
nests() { [ "$("$CTR" exec nested sh -c 'for n in /proc/[0-9]*/ns/uts; do readlink $n; done' | sort -u | wc -l)" = 2 ]; }
soon nests
want 6 "$CTR" suspend nested
said err "has its own uts namespace"
want 0 "$CTR" rm -f nested
cp rsh rsh-whole
sed -i "s|exec nsenter|PATH=/usr/bin:/bin exec nsenter|" rsh
if ! PATH=/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin command -v criu >/dev/null; then
	want 6 move --dry-run web b
	said err "criu is not installed"
fi
cp rsh-whole rsh
want 0 move --dry-run web b
one_copy web here

# it goes, and comes back
want 0 move web b
said out "4 switch"
one_copy web there
goes_on there
want 0 back --json web a
python3 -c 'import json; j = json.load(open("out")); p = j["phases"]; assert sum(x["bytes"] for x in p if x["phase"] in ("memory", "switch")) > 50000 and 0 < p[-1]["downtime_us"] < 30000000, j' || fail "$(cat out)"
one_copy web here
goes_on here

# a start there that fails: it goes on here, from memory
mkdir broken
cat >broken/criu <<-'SH'
	#!/bin/sh
	[ "$1" != swrk ] || [ ! -e "$BROKEN" ] || exit 1
	exec "$WHOLE" "$@"
SH
chmod +x broken/criu
WHOLE=$(command -v criu)
sed -i "s|exec nsenter|WHOLE=$WHOLE BROKEN=$PWD/there/instances/web/memory PATH=$PWD/broken:\$PATH exec nsenter|" rsh
want 0 move --dry-run web b
want 6 move web b
said err "not moved, and runs here as before"
one_copy web here
goes_on here
cp rsh-whole rsh

# killed: whoever takes part, at any time; but for CRIU itself, which leaves damaged processes then
children() { pgrep -P "$1"; }
rounds=10
[ -z "${SWEEP_ALL-}" ] || rounds=60
for ((i = 0; i < rounds; i++)); do
	"$CTR" migrate --memory --ssh "$PWD/rsh" --remote-ctr "$CTR" web b >out 2>err &
	pid=$!
	sleep "0.$(printf %03d $((20 + i * 997 % 640)))"
	case $((i % 3)) in
	0) victim=$(for p in $(children $pid); do pgrep -P "$p" -x 'sh|bash|ctr'; done | shuf -n 1) ;;
	1) victim=$pid ;;
	2) victim=$(children $pid | head -n 1) ;;
	esac
	[ -z "$victim" ] || kill -9 "$victim" 2>/dev/null
	wait $pid 2>/dev/null
	alone() { ! pgrep -f "[m]igrate --memory --ssh $PWD/rsh" >/dev/null && ! pgrep -f "[c]riu swrk" >/dev/null; }
	soon alone
	here "$CTR" list >/dev/null 2>&1
	there "$CTR" list >/dev/null 2>&1
	at=here
	[ "$(status there web)" != running ] || at=there
	none_elsewhere() { [ "$(status here web)$(status there web)" = running ]; }
	soon none_elsewhere || fail "victim $((i % 3)) in round $i: '$(status here web)' here, '$(status there web)' there: $(cat out err)"
	echo "round $i: victim $((i % 3)), $at: $(tail -n 1 out err | xargs)"
	goes_on $at
	[ $at = here ] || { want 0 back web a; goes_on here; }
done
want 0 "$CTR" rm -f web

# With connections. CRIU before 4.2 asks TCP sockets for what Linux 6.16 and later do not tell of them.
want 0 "$CTR" run -d --name web --net lan:ip=192.0.2.77 box:1 /bin/echoes count 7 "${MIB:-16}"
listens() { world "$BUILD/tests/life/echo" talk 192.0.2.77 7 / >/dev/null 2>&1; }
soon listens
if ! "$CTR" suspend web 2>err; then
	grep -q "Can't get 1:16 opt" err || fail "$(cat err)"
	echo "connections: this criu is too old for this kernel"
	want 0 "$CTR" rm -f web
	nothing_left
	exit 0
fi
want 0 "$CTR" start web
world "$BUILD/tests/life/echo" talk 192.0.2.77 7 "$PWD/end" >silence 2>broken-why &
talks=$!
sleep 0.5
for ((i = 0; i < 2; i++)); do
	want 0 move --json web b
	echo "said $(sed -n 's/.*"downtime_us": \([0-9]*\).*/\1/p' out) us"
	sleep 0.5
	want 0 back --json web a
	sleep 0.5
	kill -0 $talks 2>/dev/null || fail "the connection is lost: $(cat broken-why)"
done
want 0 "$CTR" suspend web
want 0 "$CTR" start web
sleep 0.5
touch end
wait $talks || fail "the connection is lost: $(cat broken-why)"
echo "seen $(cat silence) us"
want 0 "$CTR" rm -f web
nothing_left
