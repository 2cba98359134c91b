#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# -v shows a file or directory of the host: with the ids it has on disk, read-only where asked, never made.
. "$TESTS/life/vps.bash"
rootfs r
mkdir -p v/sub
echo one >v/f
chown 1000:1000 v/f
chmod 600 v/f
want 0 "$CTR" run --rm -v "$PWD/v:/mnt/deep/v" r stat -c '%u %g' /mnt/deep/v/f
said out '1000 1000'
want 0 "$CTR" run --rm -v "$PWD/v:/v" r sh -c 'cat /v/f; echo two >/v/new; chown 5 /v/new'
[ "$(stat -c %u v/new)" = 5 ] || fail "ids on disk: $(stat -c %u v/new)"
want 0 "$CTR" run --rm -v ./v:/v r cat /v/new
said out two
want 0 "$CTR" run --rm -v "$PWD/v/f:/etc/conf" r cat /etc/conf
said out one
# read-only, with what is mounted below
mount -t tmpfs none v/sub && touch v/sub/x
want 0 "$CTR" run --rm -v "$PWD/v:/v:ro" r sh -c 'ls /v/sub; ! touch /v/y && ! touch /v/sub/y && ! mount -o remount,rw /v'
said out x
want 0 "$CTR" run --rm -v "$PWD/v:/v:bind" r sh -c 'ls /v/sub'
[ ! -s out ] || fail "bind shows what is mounted below: $(cat out)"
umount v/sub
# without id mapping: ids of the host, which inside are nobody's
want 0 "$CTR" run --rm -v "$PWD/v:/v:noidmap" r sh -c 'stat -c %u /v/f; ! cat /v/f'
said out 65534
# several, in order, and one inside another
mkdir w
echo inner >w/g
want 0 "$CTR" run --rm -v "$PWD/v:/v" -v "$PWD/w:/v/sub:ro" r cat /v/sub/g
said out inner
# nothing is made on the host, and nothing silently left out
want 125 "$CTR" run --rm -v "$PWD/typo:/v" r true
said err 'No such file'
[ ! -e typo ] || fail "the source was made"
for bad in v:/v /v : /a:b /a/../b:/c "$PWD/v:/" "$PWD/v:/v:rx"; do
	want 125 "$CTR" run --rm -v "$bad" r true
done
# a link in the image leads nowhere else
ln -s / r/out
want 0 "$CTR" run --rm -v "$PWD/w:/out/tmp/in" r ls /tmp/in
said out g
[ ! -e /tmp/in ] || fail "a volume was mounted outside"
nothing_left
