#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An ordinary user has instances: as root of nothing but the user's own namespaces, with networks between them. Their keeper may be
# killed, alone or with all that live there.
# timeout: 120
. "$TESTS/life/vps.bash"
. "$TESTS/life/user.bash"
keeper() { cut -d ' ' -f 1 $DATA/rootless/keeper; }
FIRST_IN_PATH=$home/nopasta # the way out is vps-ports-open-without-root.sh
mkdir $FIRST_IN_PATH && printf '#!/bin/sh\necho there is no way >&2; exit 1\n' >$FIRST_IN_PATH/pasta && chmod 755 $FIRST_IN_PATH/pasta
echo volume >$home/user/file && chown $USER_ID $home/user/file

# what touches nothing makes nothing
want 0 u version
want 0 u completion bash
[ ! -e $DATA ] || fail "a version makes $DATA"

want 0 u image import r.tar r
want 0 u run --rm --net none r cat /proc/self/uid_map
[ "$(tr -s ' \n' ' ' <out)" = " 0 0 1 1 1 65536 " ] || fail "ids: $(cat out)"
want 0 u run --rm --net none --user www r sh -c 'id -u; id -G'
[ "$(tr '\n' ' ' <out)" = "33 33 44 " ] || fail "a user of the image: $(cat out)"
want 0 u run --rm --net none r stat -L -c %u /bin/id
[ "$(cat out)" = 7 ] || fail "a file of somebody's in the image: $(cat out)"
want 7 u run --rm --net none r sh -c 'exit 7'
want 0 u run --rm --net none -v $home/user:/host r sh -c 'cat /host/file; echo made >/host/made; stat -c %u /host/made'
[ "$(tr '\n' ' ' <out)" = "volume 0 " ] || fail "a volume: $(cat out)"
[ "$(stat -c %u $home/user/made)" = $USER_ID ] || fail "what root makes in a volume is not the user's"
# root inside is the user outside, and not more
want 1 u run --rm --net none -v /etc:/host r sh -c 'echo x >>/host/passwd'
want 1 u run --rm --net none r mknod /dev/mem2 c 1 1
want 125 u run --rm --net none -m 64M r true
said err "limits: "
want 125 u run --rm --net none --disk 20M r true

# a network between instances, with names and a firewall; that nothing leads out is told
want 0 u run -d --name web r sh -c 'mkdir -p /srv && echo i-am-web >/srv/index.html && exec httpd -f -p 80 -h /srv'
said err "no network beyond: there is no way"
soon u exec web wget -q -O /dev/null http://127.0.0.1/
want 0 u run --rm r wget -q -O - http://web/
said out i-am-web
want 0 u fw web default deny in
want 1 u run --rm r sh -c 'timeout 1 wget -q -O - http://web/ || exit 1'
want 0 u fw web allow in tcp 80
want 0 u run --rm r wget -q -O - http://web/
want 0 u list -q
[ "$(cat out)" = web ] || fail "list: $(cat out)"
want 0 u snapshot create web s
want 0 u clone --start web web2
want 0 u exec web2 true
want 0 u cp file web:/tmp/file
want 0 u exec web cat /tmp/file
said out volume
want 0 u plan r
said out "uid 0->0+1 uid 1->1+65536"
want 0 u doctor
said out "not root: instances are in namespaces of this user's"
! grep -q '^missing' out || fail "doctor: $(cat out)"
[ -z "$("$CTR" list -q)" ] || fail "root has them too"

# the keeper alone is killed: the next command finds the namespaces by who lives there
before=$(readlink "/proc/$(keeper)/ns/net")
kill -9 "$(keeper)"
want 0 u exec web true
[ "$(readlink "/proc/$(keeper)/ns/net")" = "$before" ] || fail "another keeper, another network"
want 0 u run --rm r wget -q -O - http://web/
said out i-am-web

# what is killed while it makes them leaves nothing for the next to stumble over: one keeper, and after all are killed as after a reboot
for ((n = 20; n < 250; n += 20)); do
	all_killed
	(cd $home/user && exec timeout 30 setpriv --reuid $USER_ID --regid $USER_ID --clear-groups env -i PATH="$home/bin:$PATH" HOME=$home/user \
		$home/bin/inject -n $n -k ctr list 3>/dev/null) >/dev/null 2>&1
	want 0 u list -q
	[ "$(sort out | tr '\n' ' ')" = "web web2 " ] || fail "list after a kill at call $n: $(cat out err)"
	[ "$(pgrep -c -u $USER_ID -f '^ctr: rootless$')" = 1 ] || fail "keepers after a kill at call $n: $(processes)"
done
want 0 u start web
soon u exec web wget -q -O /dev/null http://127.0.0.1/
want 0 u rm -f web web2
want 0 u list -q
[ ! -s out ] || fail "left: $(cat out)"

# one id alone
all_killed
: >subids
want 0 u run --rm --net none r sh -c 'id -u; cat /proc/self/uid_map | wc -l'
[ "$(tr '\n' ' ' <out)" = "0 1 " ] || fail "one id: $(cat out)"

# what one without root has made is not started with the host's ids by root
want 0 u create --name moved --net none r true
all_killed
chown -R 0:0 $DATA
CTR_ROOT=$DATA want 1 "$CTR" start moved
said err "no range of ids"
