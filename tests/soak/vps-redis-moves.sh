#!/bin/bash
# timeout: 900
# SPDX-License-Identifier: Apache-2.0
# A redis with MIB (256) of data, under load, moves to another host while it runs and back, ROUNDS (1) times: near-live, and with its memory. Prints how
# long it was away as `ctr migrate` says, and as somebody outside sees it who asks each millisecond; no key is lost, and with memory no client
# has an error.
HOLD=3600 # seconds that the namespaces live
export HOLD
. "$TESTS/life/hosts.bash"
skip() { echo "$*"; exit 77; }
redis=$(command -v redis-server) && command -v redis-benchmark >/dev/null && command -v redis-cli >/dev/null || skip "needs redis"
. "$TESTS/life/criu.bash"
MIB=${MIB:-256} ROUNDS=${ROUNDS:-1}
rootfs r
mkdir -p r/usr/bin r/data
cp -L "$redis" r/usr/bin/redis-server
cp -L "$(command -v redis-cli)" r/usr/bin/redis-cli
for lib in $(ldd "$redis" r/usr/bin/redis-cli | grep -oE '[[:space:]]/[^ ]+'); do
	mkdir -p "r$(dirname "$lib")" && cp -L "$lib" "r$lib"
done
tar -C r -cf r.tar . && want 0 "$CTR" image import r.tar redis:1
want 0 "$CTR" run -d --name db --net lan:ip=192.0.2.77 --ready 'exec:redis-cli ping | grep -q PONG' redis:1 \
	redis-server --protected-mode no --enable-debug-command yes --rdbcompression no --dir /data --save '' --appendonly yes --appendfsync everysec --daemonize no
cli() { world redis-cli -h 192.0.2.77 "$@"; }
answers() { [ "$(cli ping)" = PONG ]; }
soon answers
cli debug populate $((MIB * 1024)) key 1000 >/dev/null
cli set mine whole >/dev/null
cli bgrewriteaof >/dev/null
rewritten() { [ "$(cli info persistence | sed -n "s/aof_base_size:\([0-9]*\).*/\1/p")" -gt $((MIB << 19)) ]; }
for ((i = 0; i < 600; i++)); do rewritten && break; sleep 0.2; done
rewritten || fail "it does not hold $MIB MiB: $(cli info persistence)"
# asks once a millisecond, and writes a number that only grows; a connection that breaks is counted, and made again
cat >ask.py <<-'PY'
	import os, socket, sys, time
	broken, last, longest, wrote, s = 0, time.monotonic(), 0, 0, None
	while not os.path.exists("end"):
	    try:
	        if not s:
	            s = socket.create_connection(("192.0.2.77", 6379), 0.1)
	            s.settimeout(float(sys.argv[1]))
	        n = str(wrote + 1).encode()
	        s.sendall(b"*3\r\n$3\r\nSET\r\n$7\r\ncounter\r\n$%d\r\n%s\r\n" % (len(n), n))
	        answer = s.recv(64)
	        if answer != b"+OK\r\n":
	            raise OSError(repr(answer))
	        wrote += 1
	        longest = max(longest, time.monotonic() - last)
	        last = time.monotonic()
	        time.sleep(0.001)
	    except OSError as e:
	        broken += s is not None
	        s = None
	        time.sleep(0.001)
	print(broken, int(longest * 1e6), wrote)
PY
move() { # move here|there HOW...
	local from=$1 back=
	shift
	[ "$from" = here ] && from= || back=-back
	rm -f end
	world python3 "$PWD/ask.py" "$patience" >asked 2>&1 &
	asks=$!
	world redis-benchmark -h 192.0.2.77 -t set,get -r 100000 -d 100 -c 4 -l -q >load 2>&1 &
	loads=$!
	sleep 2
	$from "$CTR" migrate --json "$@" --ssh "$PWD/rsh$back" --remote-ctr "$CTR" db b >out 2>err || fail "migrate $*: $(cat out err)"
	sleep 2
	touch end
	wait $asks
	kill $loads 2>/dev/null
	wait $loads 2>/dev/null
	read -r broken seen wrote <asked || fail "$(cat asked)"
	said=$(sed -n 's/.*"downtime_us": \([0-9]*\).*/\1/p' out)
	echo "${*:-near-live}: said $said us, seen $seen us ($((seen * 100 / said)) %), $broken connections broken; $(python3 -c '
import json
print(", ".join("%s %d KiB %d ms" % (p["phase"], p["bytes"] >> 10, p["us"] / 1000) for p in json.load(open("out"))["phases"]))')"
	[ "$(cli get mine)" = whole ] || fail "a key is lost"
	[ "$(cli strlen key:7)" -gt 0 ] && [ "$(cli dbsize)" -ge $((MIB * 1024)) ] || fail "keys are lost: $(cli dbsize)"
	[ "$(cli get counter)" -ge "$wrote" ] || fail "writes are lost: $(cli get counter) of $wrote"
}
for ((round = 0; round < ROUNDS; round++)); do
	patience=0.1
	move here -t 5
	move there -t 5
	patience=60
	for from in here there; do
		move $from --memory
		[ "$broken" = 0 ] || fail "$broken connections broke"
		grep -i error load && fail "a client had an error"
	done
done
want 0 "$CTR" rm -f db
