#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What instances have used is counted whether they live, were restarted, are gone, lived for 10 ms, or have lost their supervisor; by
# another measure than ours it is right within 2 %; and a receipt that was tampered with shows.
. "$TESTS/life/net.bash"
rootfs r
export CTR_NET=none
# value NAME KEY: of the instance in what usage prints
value() {
	"$CTR" usage --json "$1" | sed -n "s/^ *\"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" | head -n 1
}
near() { awk "BEGIN { exit !($1 > 0 && $1 >= $2 * 0.98 && $1 <= $2 * 1.02 + ${4-0}) }" || fail "$3: counted $1, was $2"; }
# a burner tells how much processor time it took: user and system, its own
BURN='i=0; while [ $i -lt 700000 ]; do i=$((i+1)); done; cat /proc/$$/stat >>/burnt; :'
burnt() { # NAME: seconds of all runs
	awk '/ \(sh\) / { t += $14 + $15 } END { print t / 100 }' "$CTR_ROOT/instances/$1/layer/upper/burnt"
}
want 0 "$CTR" run -d --name burner -l team=red r sh -c "$BURN"
want 0 "$CTR" wait burner
near "$(value burner cpu_seconds)" "$(burnt burner)" 'one run' 0.03
want 0 "$CTR" start burner
sleep 0.3
awk "BEGIN { exit !($(value burner cpu_seconds) > $(burnt burner) + 0.1) }" || fail "what goes on is not counted"
kill -9 "$(field burner supervisor)"
pid=$(field burner pid)
for ((i = 0; i < 300; i++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
near "$(value burner cpu_seconds)" "$(burnt burner)" 'two runs, and no supervisor' 0.05
[ "$(value burner runs) $(value burner status)" = '2 stopped' ] || fail "$("$CTR" usage burner)"
want 0 "$CTR" stop burner # nobody has tidied up yet
BURNT=$(value burner cpu_seconds)
near "$BURNT" "$(burnt burner)" 'two runs, tidied up' 0.05
want 0 "$CTR" rename burner ash
want 0 "$CTR" rm -f ash
# 'removed' is the name it had at its last run
[ "$(value burner cpu_seconds) $(value burner status)" = "$BURNT removed" ] || fail "$("$CTR" usage)"
# short ones
for ((i = 0; i < 5; i++)); do want 0 "$CTR" run --rm --name short -l team=red r sh -c ':'; done
want 0 "$CTR" usage --csv
[ "$(grep -c '^short,' out)" = 5 ] || fail "of five short ones: $(cat out)"
awk -F, '/^short,/ && !($6 > 0) { exit 1 }' out || fail "a short one used nothing: $(cat out)"
want 0 "$CTR" usage --by team --csv
grep -q '^red,7,' out || fail "by team: $(cat out)"
want 0 "$CTR" usage --since 1h --csv burner
grep -q "^burner,.*,$BURNT," out || fail "since: $(cat out)"
sleep 1.1
want 0 "$CTR" usage --since 1s short
[ "$(wc -l <out)" = 1 ] || fail "what is older: $(cat out)"
want 3 "$CTR" usage nosuch
# networks: what the instance's own interface says
want 0 "$CTR" run -d --name loader --net bridge r sleep 1000
head -c 20000000 /dev/zero >blob
nsenter -t $WORLD -n busybox httpd -f -p 192.0.2.2:80 -h "$PWD" &
SERVER=$!
soon world busybox wget -q -O /dev/null http://192.0.2.2/err
download() { # INSTANCE: what it received, which is not the same each time: packets and their headers are not
	want 0 "$CTR" exec "$1" sh -c 'wget -O /dev/null http://192.0.2.2/blob; cat /sys/class/net/eth0/statistics/rx_bytes'
	RECEIVED=$(cat out)
	[ "$RECEIVED" -gt 20000000 ] || fail "it received $RECEIVED"
}
download loader
near "$(value loader network_received_bytes)" "$RECEIVED" 'received'
want 0 "$CTR" restart -t 0 loader
near "$(value loader network_received_bytes)" "$RECEIVED" 'received before a restart' 200000
FIRST=$RECEIVED
download loader
want 0 "$CTR" rm -f loader
near "$(value loader network_received_bytes)" "$((FIRST + RECEIVED))" 'received in two runs, and gone' 200000
# without a supervisor the links go with the last process: then the sampler knows
"$CTR" usage sample --every 1 2>sampler &
SAMPLER=$!
want 0 "$CTR" run -d --name orphan --net bridge r sleep 1000
download orphan
sleep 2.2
want 4 "$CTR" usage sample
kill -9 "$(field orphan supervisor)" "$(field orphan pid)"
sleep 0.5
want 0 "$CTR" rm -f orphan
near "$(value orphan network_received_bytes)" "$RECEIVED" 'without a supervisor' 200000
kill $SAMPLER $SERVER
wait $SAMPLER || fail "the sampler: $(cat sampler)"
# while it goes on there are receipts too, from which what was used when is known, also after the machine went down
"$CTR" usage sample --every 1 --receipts 1 2>sampler &
SAMPLER=$!
want 0 "$CTR" run -d --name long r sh -c "${BURN%:}sleep 1000"
soon test -e "$CTR_ROOT/instances/long/layer/upper/burnt"
sleep 3.2
near "$(value long cpu_seconds)" "$(burnt long)" 'with receipts in between' 0.05
[ "$(value long runs)" = 1 ] || fail "a run with receipts in between: $("$CTR" usage long)"
want 0 "$CTR" usage --since 1s --csv long
awk -F, '/^long,/ { found = 1; if ($6 > 0.05) exit 1 } END { if (!found) exit 1 }' out || fail "it slept in the last second: $(cat out)"
kill $SAMPLER
wait $SAMPLER || fail "the sampler: $(cat sampler)"
kill -9 "$(field long supervisor)" "$(field long pid)"
sleep 0.2
cgroup=$(find /sys/fs/cgroup -type d -path '*ctr-*/long')
rmdir "$cgroup" && rm -r "$CTR_RUN/state/long"
near "$(value long cpu_seconds)" "$(burnt long)" 'after the run state was lost' 0.05
want 0 "$CTR" rm -f long
# a text for collectors
want 0 "$CTR" run -d --name shown r sleep 100
want 0 "$CTR" metrics
grep -qE '^ctr_cpu_seconds_total\{name="shown",uuid="[0-9a-f]{32}"\} [0-9.]+$' out || fail "$(cat out)"
[ "$(tail -n 1 out)" = '# EOF' ] || fail "no end: $(tail -n 3 out)"
[ "$(grep -c '^# TYPE' out)" = "$(grep '^# TYPE' out | sort -u | wc -l)" ] || fail "a family twice: $(cat out)"
want 0 "$CTR" rm -f shown
# receipts
want 0 "$CTR" usage verify
LEDGER=$(echo "$CTR_ROOT"/usage/000001)
N=$(wc -l <"$LEDGER")
said out "$N receipts"
cp "$LEDGER" whole
tamper() { # WORDS COMMAND...: it shows
	local words=$1
	shift
	"$@" <whole >"$LEDGER"
	want 1 "$CTR" usage verify
	said err "$words"
}
tamper 'receipt 3 was changed' sed '3s/"cpu_us":[0-9]*/"cpu_us":1/'
tamper 'receipt 4 does not follow the one before it, 2' sed 3d
tamper 'receipt 3 does not follow the one before it, 1' awk 'NR == 2 { held = $0; next } { print } NR == 3 { print held }'
tamper 'what follows receipt 5 is none' sed '6s/.*/{}/'
# half a line, as a loss of power leaves it, was never acted upon; the next one goes on before it
{ cat whole; head -n 1 whole | head -c 100; } >"$LEDGER"
want 0 "$CTR" usage verify
want 0 "$CTR" run --rm r true
want 0 "$CTR" usage verify
said out "$((N + 1)) receipts"
nothing_left
no_network_left
