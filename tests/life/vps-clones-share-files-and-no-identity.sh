#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clones begin as their origin is, in no space, and go ways of their own; no two of them share what identifies a machine; an
# origin is not removed by mistake.
. "$TESTS/life/vps.bash"
rootfs r
mkdir -p r/etc/ssh r/var/lib/{dbus,dhcp,systemd}
echo 0123456789abcdef0123456789abcdef >r/etc/machine-id
echo 0123456789abcdef0123456789abcdef >r/var/lib/dbus/machine-id
echo seed >r/var/lib/systemd/random-seed
echo lease >r/var/lib/dhcp/dhclient.eth0.leases
echo other >r/var/lib/dhcp/readme
ln -s /outside r/var/lib/NetworkManager
mkdir outside && echo mine >outside/secret_key
if command -v ssh-keygen >/dev/null; then ssh-keygen -q -N '' -t ed25519 -f r/etc/ssh/ssh_host_ed25519_key; fi
want 0 "$CTR" create --name web --profile system --stop-signal SIGKILL --hostname www.example r sh -c 'while :; do sleep 1; done'
want 0 "$CTR" start web
want 0 "$CTR" exec web sh -c 'echo origin >/data; rm -r /var/www; dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null'
identity() { # NAME
	"$CTR" exec "$1" sh -c 'for f in /etc/machine-id /etc/hostname /etc/hosts /var/lib/dbus/machine-id /var/lib/systemd/random-seed /var/lib/dhcp/* /etc/ssh/*.pub; do echo "$f $(cat $f 2>/dev/null)"; done; hostname'
}
# of one that runs, of one that does not, and of a snapshot
want 0 "$CTR" clone web c1
want 0 "$CTR" stop web
want 0 "$CTR" snapshot create web s1
before=$(du -sk "$CTR_ROOT" | cut -f 1)
want 0 "$CTR" clone --start web@s1 'c{2..4}' 'd-{a,b}'
[ "$(cat out)" = $'c2\nc3\nc4\nd-a\nd-b' ] || fail "$(cat out)"
[ $(($(du -sk "$CTR_ROOT" | cut -f 1) - before)) -lt 2000 ] || fail "clones take space"
want 0 "$CTR" start web c1
for c in c1 c2 c3 c4 d-a d-b; do
	[ "$("$CTR" exec $c sh -c 'cat /data; ls -d /var/www 2>/dev/null; hostname; cat /etc/hostname; stat -c %s /big; cat /var/lib/dhcp/readme')" = "origin
$c
$c
20971520
other" ] || fail "$c: $("$CTR" exec $c sh -c 'cat /data; ls -d /var/www; hostname; cat /etc/hostname')"
	identity $c | grep -v '^/var/lib/dhcp/readme' >id.$c
	! grep -q '0123456789abcdef0123456789abcdef\|seed$\|lease$\|www.example' id.$c || fail "$c has the origin's: $(cat id.$c)"
	grep -qE '^/etc/machine-id [0-9a-f]{32}$' id.$c || fail "$c: $(cat id.$c)"
done
! cat id.* | grep -vE ' $|^/etc/hosts|localhost|ip6' | sort | uniq -d | grep . || fail "two clones share what identifies them"
if command -v ssh-keygen >/dev/null; then
	[ "$(cat id.* | grep -c 'ssh_host_ed25519_key.pub ssh-ed25519 ')" = 6 ] || fail "host keys: $(grep -h pub id.*)"
	! grep -hF "$(cut -d ' ' -f 2 r/etc/ssh/ssh_host_ed25519_key.pub)" id.* || fail "a clone has the origin's host key"
fi
[ "$(cat outside/secret_key)" = mine ] || fail "a link led out of the clone"
# each its own way
want 0 "$CTR" exec c2 sh -c 'echo c2 >/data'
[ "$("$CTR" exec c3 cat /data) $("$CTR" exec web cat /data)" = 'origin origin' ] || fail "they are one"
# identity and all, for who takes the place
want 0 "$CTR" check --unique
want 0 "$CTR" clone --keep-identity web@s1 twin
want 1 "$CTR" check --unique
said out "machine-id is the same in: twin web"
said out "host name is the same in: twin web"
want 0 "$CTR" check --unique 'c*'
want 0 "$CTR" start twin
[ "$("$CTR" exec twin sh -c 'hostname; cat /etc/machine-id')" = "$("$CTR" exec web sh -c 'hostname; cat /etc/machine-id')" ] || fail "--keep-identity"
want 0 "$CTR" rm -f twin
# a full one stands alone, whiteouts and all
want 0 "$CTR" clone --full c2 full
want 0 "$CTR" start full
[ "$("$CTR" exec full sh -c 'cat /data; ls -d /var/www 2>/dev/null; hostname')" = $'c2\nfull' ] || fail "--full: $("$CTR" exec full sh -c 'cat /data; ls -d /var/www')"
[ ! -e "$CTR_ROOT/instances/full/layer/parent" ] || fail "--full stands on a layer"
# lineage
want 0 "$CTR" tree
[ "$(cat out)" = 'full
web  (1 snapshot)
  c1
  c2
  c3
  c4
  d-a
  d-b' ] || fail "tree: $(cat out)"
want 0 "$CTR" stop web c1
want 4 "$CTR" rm web
said err 'clone --promote'
want 4 "$CTR" clone --promote web
want 0 "$CTR" clone --promote c1
want 0 "$CTR" tree --json
python3 -c 'import json; d = {i["name"]: i.get("origin") for i in json.load(open("out"))["instances"]}; assert d == {"c1": None, "full": None, "web": "c1", "c2": "c1", "c3": "c1", "c4": "c1", "d-a": "c1", "d-b": "c1"}, d' || fail "$(cat out)"
want 0 "$CTR" rm web
want 4 "$CTR" rm c1
for c in c2 c4 d-b; do [ "$("$CTR" exec $c cat /var/lib/dhcp/readme)" = other ] || fail "$c lost its base"; done
# names
want 4 "$CTR" clone c1 c2
want 2 "$CTR" clone c1 'x{1..3'
want 2 "$CTR" clone c1
want 3 "$CTR" clone nosuch x
want 3 "$CTR" clone c1@nosuch x
want 0 "$CTR" clone c1 'z{08..10}'
[ "$(cat out)" = $'z08\nz09\nz10' ] || fail "$(cat out)"
want 0 "$CTR" rm -f '*'
gone() { [ -z "$(find "$CTR_ROOT/frozen" "$CTR_ROOT/instances/.tmp" -mindepth 1)" ]; }
soon gone
