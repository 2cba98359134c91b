#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A client that never pauses, from one source port: its datagrams go to the host while nothing is published, to the instance that
# publishes the port as soon as it does, and no longer to one that is gone. Without the kernel forgetting, they stay where the first went.
. "$TESTS/life/net.bash"
rootfs r
answer() { # PORT WORD: a server of the host
	exec python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', $1))
while True:
    data, peer = s.recvfrom(100)
    s.sendto(b'$2', peer)
"
}
answer 5000 host &
host=$!
nsenter -t "$WORLD" -n python3 -uc "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.05)
last = None
while True:
    s.sendto(b'who?', ('192.0.2.1', 5000))
    try: who = s.recv(100).decode()
    except OSError: who = 'nobody'
    if who != last: print(who)
    last = who
    time.sleep(0.02)
" >answers &
client=$!
trap 'kill $host $client $WORLD 2>/dev/null' EXIT
last_is() { [ "$(tail -n 1 answers)" = "$1" ]; }
soon last_is host
want 0 "$CTR" run -d --name a -p 5000:5000/udp r sleep 1000
pid=$("$CTR" inspect a | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
nsenter -t "$pid" -n python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', 5000))
while True:
    data, peer = s.recvfrom(100)
    s.sendto(b'a', peer)
" &
inner=$!
trap 'kill $host $client $inner $WORLD 2>/dev/null' EXIT
soon last_is a
want 0 "$CTR" rm -f a
soon last_is host
kill $host $client $inner
wait $host $client $inner 2>/dev/null
no_network_left
