#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Users are looked up in the image's own files, which may be hostile: CVE-2024-9676, CVE-2026-47262, CVE-2026-30892.
. "$TESTS/life/vps.bash"
rootfs r
as() { want 0 "$CTR" run --rm -u "$1" r sh -c 'echo $(id -u):$(id -g):$(id -G) $HOME'; }
as www && said out '33:33:33 44 /var/www'
as www:extra && said out '33:44:44 /var/www'
as 33 && said out '33:33:33 /var/www'
as 33:7 && said out '33:7:7 /var/www'
as 1 && said out '1:0:0 /'
as 12:34 && said out '12:34:34 /'
as root && said out '0:0:0 44 /root'
as 0 && said out '0:0:0 /root'
for bad in nobody: : :1 no www:no -1 1x 0x1 4294967296 '1 ' ' 1' $'1\n'; do
	want 125 "$CTR" run --rm -u "$bad" r id
done
# a FIFO would be waited for
mv r/etc/passwd passwd
mkfifo r/etc/passwd
want 125 timeout 10 "$CTR" run --rm -u www r id
said err 'is not a regular file'
# links lead inside, not to the host's files
rm r/etc/passwd
ln -s /lib/passwd r/etc/passwd
mkdir -p r/lib
cp passwd r/lib/passwd
as www && said out '33:33'
rm r/etc/passwd r/lib/passwd
echo "thief:x:77:77::/:" >hostfile
ln -s "$PWD/hostfile" r/etc/passwd
want 125 "$CTR" run --rm -u thief r id
rm r/etc/passwd
ln -s /proc/self/root/etc/passwd r/etc/passwd
want 125 "$CTR" run --rm -u nobody r id
rm r/etc/passwd
# size and number are bounded
head -c 9000000 /dev/zero | tr '\0' x >r/etc/passwd
want 125 "$CTR" run --rm -u www r id
said err 'larger than 8 MiB'
cp passwd r/etc/passwd
for ((i = 0; i < 2000; i++)); do echo "g$i:x:$((i + 100)):www"; done >>r/etc/group
want 125 "$CTR" run --rm -u www r id
said err 'more than 1024 groups'
printf 'www:x:33:\nbig:x:70000:www\n' >r/etc/group
want 125 "$CTR" run --rm -u www r id
printf 'garbage\n:::\nwww\n\nwww:x:99999999999:0::/:\nwww:x:33:33:www:/var/www:/bin/sh\n' >r/etc/passwd
: >r/etc/group
as www && said out '33:33:33 /var/www'
rm r/etc/passwd r/etc/group
as 5:6 && said out '5:6:6 /'
as root && said out '0:0:0 /root'
# in several layers, and for exec in what is there now
cp passwd r/etc/passwd
want 0 "$CTR" run -d --name a r sleep 100
want 0 "$CTR" exec a sh -c 'echo "late:x:55:55::/tmp:" >>/etc/passwd'
want 0 "$CTR" exec -u late a sh -c 'id -u; pwd; echo $HOME'
[ "$(tr '\n' ' ' <out)" = '55 / /tmp ' ] || fail "exec: $(cat out)"
want 0 "$CTR" rm -f a
want 0 "$CTR" create --name b r id -u
want 0 "$CTR" start b
want 0 "$CTR" wait b
want 0 "$CTR" rm b
nothing_left
