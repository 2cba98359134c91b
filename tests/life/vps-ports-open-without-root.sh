#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Of an ordinary user: what instances publish is open on the host, and they reach what the host reaches, by pasta; if that is killed, the
# next command has another one.
# timeout: 120
command -v pasta >/dev/null && pasta --help 2>&1 | grep -q -- --map-host-loopback ||
	{ echo "needs passt of 2024 or later: older ones do not see which ports are wanted"; exit 77; }
. "$TESTS/life/net.bash"
. "$TESTS/life/user.bash"
OUTSIDE=
trap 'kill $WORLD $OUTSIDE 2>/dev/null; clean_up' EXIT
ip route add default via 192.0.2.2
mkdir www && echo i-am-the-world >www/index.html
nsenter -t "$WORLD" -n busybox httpd -f -p 80 -h "$PWD/www" &
OUTSIDE=$!
SERVER='mkdir -p /srv && echo i-am-web >/srv/index.html && exec httpd -f -p 80 -h /srv'

want 0 u image import r.tar r
want 0 u run -d --name web -p 8080:80 -p 8053:53/udp r sh -c "$SERVER"
[ ! -s err ] || fail "warned: $(cat err)"
# at once: the command waits for it
reaches host http://127.0.0.1:8080/ i-am-web
reaches host http://192.0.2.1:8080/ i-am-web
reaches world http://192.0.2.1:8080/ i-am-web
want 0 u run --rm r wget -q -O - http://192.0.2.2/
said out i-am-the-world
want 0 u doctor
said out "networks lead to the host's by pasta"

# datagrams come in, and their answers get out
cp "$BUILD/tests/life/echo" $home/user/answer
want 0 u cp answer web:/answer
u exec web /answer serve 53 &
ask() { # ADDRESS [WHERE]
	"${@:2}" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.2)
s.sendto(b'is it me', ('$1', 8053))
assert s.recv(100) == b'is it me'" 2>/dev/null
}
soon ask 192.0.2.1 world
soon ask 127.0.0.1

# closed with the instance
want 0 u stop -t 0 web
for ((i = 0; i < 50; i++)); do [ -n "$(get host http://127.0.0.1:8080/)" ] || break; sleep 0.1; done
cannot_reach host http://127.0.0.1:8080/
want 0 u start web
reaches world http://192.0.2.1:8080/ i-am-web

# what cannot be opened is told
want 0 u run -d --name low -p 88:80 r sleep 60
said err "those below 1024 are root's"
want 0 u run -d --name sctp -p 8132:132/sctp r sleep 60
said err "pasta does not forward SCTP"

# pasta and the keeper are replaced; nobody waits then
is_reached() { [ "$(get world http://192.0.2.1:8080/)" = i-am-web ]; }
pkill -9 -u $USER_ID pasta
want 0 u list
soon is_reached
kill -9 "$(cut -d ' ' -f 1 $DATA/rootless/keeper)"
want 0 u list
soon is_reached
want 0 u rm -f web low sctp
