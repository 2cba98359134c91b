#!/bin/bash
# timeout: 290
# SPDX-License-Identifier: Apache-2.0
# An instance goes to another host (another root and run state, in another network namespace) while it runs, with what it writes
# meanwhile, its snapshots and its address; what does not fit is told before anything is done; and whichever of those who take part is
# killed, and whenever, one copy is left, which runs.
. "$TESTS/life/net.bash"
rootfs r
head -c 4000000 /dev/urandom >r/big
tar -C r -cf r.tar . && want 0 "$CTR" image import r.tar box:1
mkdir there run-there && chmod 700 there
here() { "$@"; }
there() { CTR_ROOT=$PWD/there CTR_RUN=$PWD/run-there nsenter -t $WORLD -n "$@"; }
trap 'there "$CTR" rm -f "*" >/dev/null 2>&1; "$CTR" rm -f "*" >/dev/null 2>&1; umount run-there/mounts 2>/dev/null; kill $WORLD' EXIT
# in place of ssh: HOST COMMAND. `dead` makes the other host one that is not reached
cat >rsh <<-SH
	#!/bin/bash
	[ "\$1" = b ] || { echo "no host '\$1'" >&2; exit 255; }
	[ ! -e $PWD/dead ] || exit 255
	shift
	echo \$\$ >>$PWD/rsh-pids
	CTR_ROOT=$PWD/there CTR_RUN=$PWD/run-there exec nsenter -t $WORLD -n sh -c "exec \$*"
SH
chmod +x rsh
migrate() { "$CTR" migrate --ssh "$PWD/rsh" --remote-ctr "$CTR" -t 1 "$@"; }
runs() { [ "$("$@" "$CTR" inspect web 2>/dev/null | sed -n 's/.*"status": "\(.*\)".*/\1/p')" = running ]; }
has() { "$@" "$CTR" list -q | grep -qx web; }
clean() { # clean here|there: nothing of it is left
	has "$1" && fail "$1: there is one"
	[ -z "$(find "${2}/frozen" -mindepth 1 -maxdepth 1 2>/dev/null)" ] || fail "$1: layers are left: $(find "$2/frozen" -mindepth 1 -maxdepth 1)"
}
one_copy() { # exactly one runs, whole; the other side has none, or one that does not run
	local n=0 where
	for where in here there; do
		runs $where && n=$((n + 1)) && at=$where
	done
	[ $n = 1 ] || fail "$n copies run, $1: $(here "$CTR" list; there "$CTR" list; cat out err)"
	[ "$($at "$CTR" exec web cat /mine)" = "$2" ] || fail "the copy that runs is not whole, $1"
}

# it counts, as long as it runs
for where in here there; do
	$where "$CTR" net create --subnet 10.77.0.0/16 lan >/dev/null || fail "net create"
done
want 0 here "$CTR" run -d --name web --net lan:ip=10.77.255.9 -p 8080:80 --restart always box:1 sh -c 'echo >>/starts; while :; do echo x >>/count; sleep 0.01; done'
want 0 here "$CTR" exec web sh -c 'echo mine >/mine'
want 0 here "$CTR" snapshot create web before
here ping -c 1 -W 1 10.77.255.9 >/dev/null || fail "it does not answer here"

# what does not fit, and who is not there: nothing is done
want 0 there "$CTR" create --name web --net none "$PWD/r"
want 1 migrate web ssh://nowhere
said err "not moved, and runs here as before"
want 6 migrate --dry-run web b
said err "the name 'web' is taken"
want 6 migrate web ssh://b
want 0 there "$CTR" rm web
want 2 migrate web
want 2 migrate web 'ssh://-oProxyCommand=x'
want 2 migrate web ftp://b
want 3 migrate nobody b
want 0 migrate --dry-run web b
clean there there
one_copy "after what was refused" mine

# what is seen only when it is to start there: it starts here again
want 0 there "$CTR" run -d --name other --net lan -p 8080:80 "$PWD/r" sleep 1000
want 6 migrate web ssh://b
said err "port 8080"
said err "not moved, and runs here as before"
one_copy "after a start that failed" mine
want 0 there "$CTR" rm -f other
clean there there

# it goes
want 0 migrate web ssh://b
for phase in '1 snapshot' '2 copy' '3 changes' '4 switch'; do
	said out "$phase"
done
said out 'it was away for'
clean here "$CTR_ROOT"
one_copy "after a move" mine
[ "$at" = there ] || fail "it runs $at"
there ping -c 1 -W 1 10.77.255.9 >/dev/null || fail "it does not answer there"
want 0 there "$CTR" exec web wc -l /starts
[ "$(cut -d' ' -f1 out)" = 3 ] || fail "started $(cat out) times"
want 0 there "$CTR" snapshot list -q web
[ "$(cat out)" = web@before ] || fail "snapshots: $(cat out)"
n=$(there "$CTR" exec web wc -l /count | cut -d' ' -f1)
[ "$n" -gt 10 ] || fail "it has counted to $n"

# back, as JSON, the name another one, and it stays there as well
back() { there "$CTR" migrate --ssh "$PWD/rsh-back" --remote-ctr "$CTR" -t 1 "$@"; }
sed "s/\"\\\$1\" = b/\"\$1\" = a/; s|CTR_ROOT=$PWD/there CTR_RUN=$PWD/run-there|CTR_ROOT=$CTR_ROOT CTR_RUN=$CTR_RUN|; s/-t $WORLD -n/-t $$ -n/" rsh >rsh-back && chmod +x rsh-back
want 0 back --json --keep -n again web a
python3 -c 'import json; j = json.load(open("out")); p = {x["phase"]: x for x in j["phases"]}; assert j["name"] == "again" and j["to"] == "a" and p["copy"]["bytes"] > 4000000 and p["changes"]["bytes"] < 1000000 and 0 < p["switch"]["downtime_us"] < 30000000, j' || fail "$(cat out)"
want 0 here "$CTR" exec again cat /mine /etc/hostname
[ "$(xargs <out)" = "mine again" ] || fail "$(cat out)"
runs there && fail "it runs there still"
want 0 there "$CTR" get web restart
[ ! -s out ] || fail "the one that was kept may be started: $(cat out)"
want 0 there "$CTR" rm -f web
want 0 here "$CTR" stop -t 0 again
want 0 here "$CTR" rename again web
# one that does not run
want 0 migrate web b
clean here "$CTR_ROOT"
runs there && fail "it was started"
want 0 back web a
clean there there
want 0 here "$CTR" start web

# killed: the one that works, the one that waits for it, the other side, at any time
children() { pgrep -P "$1"; }
rounds=20
[ -z "${SWEEP_ALL-}" ] || rounds=120
for ((i = 0; i < rounds; i++)); do
	: >rsh-pids
	"$CTR" migrate --ssh "$PWD/rsh" --remote-ctr "$CTR" -t 1 web b >out 2>err &
	pid=$!
	sleep "0.$(printf %03d $((20 + i * 997 % 640)))"
	case $((i % 4)) in
	0) victim=$(for p in $(children $pid); do children "$p"; done | shuf -n 1) ;; # one that the worker has started
	1) victim=$pid ;;
	2) victim=$(children $pid | head -n 1) ;;
	3) victim=$(tail -n 1 rsh-pids) ;;
	esac
	[ -z "$victim" ] || kill -9 "$victim" 2>/dev/null
	wait $pid 2>/dev/null
	# where the one that waits was killed the one that works goes on alone
	alone() { ! pgrep -f "[m]igrate --ssh $PWD/rsh" >/dev/null; }
	soon alone
	here "$CTR" list >/dev/null 2>&1
	there "$CTR" list >/dev/null 2>&1
	one_copy "victim $((i % 4)) in round $i" mine
	[ $at = here ] || { want 0 there "$CTR" rm -f web-none; there "$CTR" migrate --ssh "$PWD/rsh-back" --remote-ctr "$CTR" -t 1 web a >out 2>err || fail "back: $(cat out err)"; }
	none_there() { ! has there; } # the one that received it may not have heard yet
	soon none_there || fail "one is left there, victim $((i % 4)) in round $i: $(there "$CTR" list)"
	want 0 here "$CTR" snapshot list -q web
	[ "$(cat out)" = web@before ] || [ "$(wc -l <out)" -le 3 ] || fail "snapshots pile up: $(cat out)"
done
# killed when it has been told to start, and the answer is on its way: it is asked again
cat >rsh-slow <<-SH
	#!/bin/bash
	"$PWD/rsh" "\$@" | while IFS= read -r line; do
		case \$line in "ok "*) come=1 ;; ok) [ -z "\$come" ] || { : >started; sleep 2; } ;; esac
		echo "\$line"
	done
SH
chmod +x rsh-slow
for victim in worker ssh; do
	rm -f started
	"$CTR" migrate --ssh "$PWD/rsh-slow" --remote-ctr "$CTR" -t 1 web b >out 2>err &
	pid=$!
	for ((k = 0; k < 1000; k++)); do [ -e started ] && break; sleep 0.02; done
	worker=$(children $pid | head -n 1)
	[ $victim = worker ] || worker=$(children "$worker" | head -n 1)
	kill -9 "$worker"
	wait $pid || fail "$victim killed in the last moment: $(cat out err)"
	one_copy "$victim killed in the last moment" mine
	[ $at = there ] || fail "it runs $at, $victim killed"
	has here && fail "one is left here, $victim killed"
	want 0 back web a
done
# killed while it writes to the line
"$CTR" migrate --ssh "$PWD/rsh" --remote-ctr "$CTR" -t 1 web b >out 2>err &
pid=$!
for ((k = 0; k < 500; k++)); do
	victim=$(for p in $(children $pid); do children "$p"; done | sed -n 2p)
	[ -z "$victim" ] || break
done
kill -9 "$victim" 2>/dev/null
wait $pid
one_copy "its writer killed" mine
[ $at = here ] || want 0 back web a

# however often it went to and fro
n=$(find "$CTR_ROOT/frozen" -mindepth 1 -maxdepth 1 | wc -l)
[ "$n" -lt 16 ] || fail "$n layers have piled up"

# nobody can tell: it is not started here until somebody can
want 0 here "$CTR" stop -t 0 web
dir=$CTR_ROOT/instances/web
printf 'b\n\n%s\n%s\nweb\n%s\nran\n' "$PWD/rsh" "$CTR" 0123456789abcdef0123456789abcdef >"$dir/moving"
want 4 here "$CTR" start web
said err "ctr migrate --settle web"
touch dead
here timeout 60 "$CTR" migrate --settle web >out 2>err && fail "settled without an answer"
said err "cannot be found out"
rm dead
want 0 here "$CTR" migrate --settle web
said out "'web' is here"
one_copy "after it was settled" mine
want 4 here "$CTR" migrate --settle web
want 0 migrate web b
uuid=$(there "$CTR" inspect web | sed -n 's/.*"uuid": "\(.*\)".*/\1/p')
want 0 here "$CTR" create --name web box:1
printf 'b\n\n%s\n%s\nweb\n%s\nran\n' "$PWD/rsh" "$CTR" "$uuid" >"$dir/moving"
want 0 here "$CTR" migrate --settle web
said out "'web' is at 'b'"
clean here "$CTR_ROOT"
one_copy "after it was settled there" mine
want 0 there "$CTR" rm -f '*'
clean there there
want 0 here "$CTR" net rm lan
want 0 there "$CTR" net rm lan
gone() { [ -z "$(find "$CTR_ROOT/instances/.tmp" -mindepth 1)" ]; }
soon gone
nothing_left
