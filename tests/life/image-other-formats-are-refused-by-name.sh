#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What cannot be imported is called by its name, with what to do where something can be done. Content tells, not the name.
. "$TESTS/images/lib.sh"
says() { # says PATTERN ARGUMENT...
	local pattern=$1
	shift
	"$CTR" image import "$@" >out 2>err
	case $? in 1 | 6) ;; *) fail "$* is taken, though $pattern" ;; esac
	[ "$(wc -l <err)" = 1 ] && grep -qE -- "$pattern" err || fail "$*: want '$pattern' in: $(cat err)"
	store_is_empty
}
archive() { # archive NAME... : a tarball of empty files of these names, or directories where they end in /
	rm -rf d && mkdir d
	local n
	for n; do case $n in */) mkdir -p "d/$n" ;; *) mkdir -p "d/$(dirname "$n")" && : >"d/$n" ;; esac done
	tar -C d -cf x.tar .
}
archive oci-layout index.json blobs/sha256/00 manifest.json && says 'archive of images' x.tar
archive manifest.json 00.json 00/layer.tar repositories && says 'archive of images' x.tar
archive repositories 00/layer.tar && says 'archive of images' x.tar
archive metadata.yaml templates/ && says 'metadata half of an Incus image' x.tar
archive metadata.yaml rootfs.img && says 'Incus image of a virtual machine' x.tar
archive config create-message expiry && says 'LXC image' x.tar
archive root.x86_64/etc/ root.x86_64/usr/ && says "below 'root.x86_64': use --strip 1" x.tar
"$CTR" image import -q --strip 1 x.tar >/dev/null || fail '--strip 1'
[ -d "$(layer)/etc" ] && [ ! -e "$(layer)/root.x86_64" ] || fail '--strip 1 strips otherwise'
rm -rf "$CTR_ROOT"
python3 -c 'import zipfile; zipfile.ZipFile("x.tar", "w").writestr("etc/x", "x")' && says 'zip archive' x.tar
printf 'hsqs%04096d' 0 >x.tar && says squashfs x.tar
{ head -c 1024 /dev/zero && printf '\342\341\365\340%04096d' 0; } >x.tar && says EROFS x.tar
{ head -c 1080 /dev/zero && printf '\123\357%04096d' 0; } >x.tar && says 'ext2/3/4' x.tar
printf 'QFI\373%04096d' 0 >x.tar && says qcow2 x.tar
cp "$CTR" x.tar && says 'a program' x.tar
echo '#!/bin/sh' >x.tar && says 'not a tar archive' x.tar
echo '#!/bin/sh' | gzip >x.tar && says 'not a tar archive' x.tar
says 'is a directory' d
mkfifo fifo && says 'not a regular file' fifo
says 'not a regular file' /dev/null
says 'No such file' nosuch
