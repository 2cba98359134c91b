#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A masked file reads as empty, a masked directory has nothing in it, a read-only path cannot be written to, a missing one is no
# matter; and a read-only root is read-only.
. "$TESTS/life/oci.bash"

bundle b "c['linux']['maskedPaths'] = ['/proc/version', '/sys/kernel', '/etc/secret', '/etc/secrets', '/no/such/path']
c['linux']['readonlyPaths'] = ['/proc/sys', '/etc/fixed', '/no/such/path']
c['root']['readonly'] = False
sh('''
cat /proc/version /etc/secret | wc -c
ls -A /sys/kernel /etc/secrets | grep -v :
echo x > /etc/fixed/file && echo written
echo x > /proc/sys/kernel/domainname && echo written
echo x > /etc/secret && echo written over
touch /etc/secrets/new && echo made
umount /etc/secret && echo unmounted
touch /etc/other && echo free
''')"
mkdir b/rootfs/etc/secrets b/rootfs/etc/fixed
echo secret >b/rootfs/etc/secret
echo secret >b/rootfs/etc/secrets/file
echo fixed >b/rootfs/etc/fixed/file
out=$(oci run -b b "$ID" 2>/dev/null </dev/null)
lacks secret "$out" "masked paths"
contains free "$out" "a writable root"
lacks made "$out" "a masked directory"
lacks unmounted "$out" "a mask"
lacks $'\nwritten\n' $'\n'"$out"$'\n' "read-only paths"
equal 0 "$(echo "$out" | head -n 1)" "bytes in masked files"
equal secret "$(cat b/rootfs/etc/secret)" "the masked file itself"
equal fixed "$(cat b/rootfs/etc/fixed/file)" "the read-only file itself"

change b "c['root']['readonly'] = True; sh('touch /x /etc/x /bin/x; mount -o remount,rw / ; touch /x')"
oci run -b b "$ID" >/dev/null 2>&1 </dev/null && fail "a read-only root was written to"
[ ! -e b/rootfs/x ] && [ ! -e b/rootfs/etc/x ] || fail "a read-only root has new files"
no_traces
