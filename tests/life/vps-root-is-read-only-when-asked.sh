#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --read-only; and without it, what is written belongs to the instance and goes with it.
. "$TESTS/life/vps.bash"
rootfs r
want 0 "$CTR" run --rm --read-only r sh -c '! touch /x && ! touch /etc/hosts && ! mount -o remount,rw / && touch /dev/shm/ok && cat /etc/hostname'
want 0 "$CTR" run --rm r sh -c 'echo new >/new; rm /bin/yes; mkdir /etc/d; echo more >>/etc/passwd; ls /new'
[ ! -e r/new ] && [ -e r/bin/yes ] && [ ! -e r/etc/d ] && [ "$(wc -l <r/etc/passwd)" = 2 ] || fail "the image was changed"
want 0 "$CTR" run --rm r sh -c 'test ! -e /new && test -e /bin/yes'
want 0 "$CTR" run -d --name a r sh -c 'test -e /mine && exit 5; echo kept >/mine; rm /bin/yes; exit 4'
want 0 "$CTR" wait a
said out 4
want 0 "$CTR" start a
want 0 "$CTR" wait a
said out 5
want 0 "$CTR" rm a
# an instance is named to itself
want 0 "$CTR" run --rm --name b --hostname host.example r sh -c 'hostname; cat /etc/hostname; grep host.example /etc/hosts; echo $HOSTNAME'
[ "$(grep -c host.example out)" = 4 ] || fail "host name: $(cat out)"
# whatever /etc is
mv r/etc r/etc2 && ln -s /etc2 r/etc
want 0 "$CTR" run --rm r cat /etc/passwd
rm r/etc && ln -s /root r/etc
want 0 "$CTR" run --rm r true
rm r/etc && touch r/etc
want 0 "$CTR" run --rm r true
rm r/etc && mkfifo r/etc
want 0 timeout 10 "$CTR" run --rm r true
rm r/etc
want 0 "$CTR" run --rm r cat /etc/hosts
nothing_left
