#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What cannot be imported, or holds what it should not, is called by its name, with what to do where something can be done. Content tells, not the name.
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
archive repositories 00/layer.tar && says 'before version 1.10' x.tar
# an archive of images that holds none
archive oci-layout index.json blobs/sha256/00 manifest.json && says "index.json': " x.tar
archive manifest.json 00.json 00/layer.tar repositories && says "manifest.json': " x.tar
layout() { # layout INDEX: an OCI layout of this index.json, and of a blob {}
	rm -rf d && mkdir -p d/blobs/sha256
	echo '{"imageLayoutVersion":"1.0.0"}' >d/oci-layout
	printf '{}' >"d/blobs/sha256/$empty"
	printf '%s' "$1" >d/index.json
	tar -C d -cf x.tar .
}
empty=$(printf '{}' | sha256sum | cut -d' ' -f1)
manifest=application/vnd.oci.image.manifest.v1+json
layout '{"schemaVersion":2,"manifests":[]}' && says 'no image for linux/' x.tar && says 'no image for linux/' d
layout '{"manifests":[{"mediaType":"'$manifest'","digest":"sha256:'"$empty"'","size":2,"platform":{"os":"linux","architecture":"pdp11"}}]}' &&
	says 'no image for linux/[a-z0-9]*, but for linux/pdp11' x.tar
# CVE-2024-3727: a digest is not a path. CVE-2021-41190: a document is one thing
layout '{"manifests":[{"mediaType":"'$manifest'","digest":"sha256:../../../../etc/passwd","size":2}]}' && says 'not a sha256 digest' x.tar &&
	says 'not a sha256 digest' d
layout '{"manifests":[{"mediaType":"'$manifest'","digest":"sha256:'"$empty"'","size":2}]}' && says 'not what its media type says' x.tar
layout '{"manifests":[{"mediaType":"'$manifest'","digest":"sha256:'"$empty"'","size":3}]}' && says 'has 2 bytes, not 3' x.tar
layout '{"manifests":[],"layers":[]}' && says 'not what its media type says' x.tar
# a layout's directory may be hostile: its files are files, and inside
layout '{}' && ln -sf /etc/passwd d/index.json && says "index.json' is missing" d
layout '{}' && rm d/index.json && mkfifo d/index.json && says 'no ordinary file' d
rm -rf d && mkdir d
archive metadata.yaml templates/ && says 'metadata half of an Incus image' x.tar
archive metadata.yaml rootfs.img && says 'Incus image of a virtual machine' x.tar
archive metadata.yaml rootfs/etc/ rootfs/bin/ templates/x && "$CTR" image import x.tar >/dev/null 2>err || fail "an Incus image: $(cat err)"
[ -d "$(layer)/etc" ] && [ ! -e "$(layer)/templates" ] || fail 'not the root filesystem of an Incus image'
grep -q 'templates' err || fail 'the templates are passed over in silence'
unsee && rm -rf "$CTR_ROOT"
# GHSA-2q3f-q5pq-g8wv: its root filesystem is a link
archive metadata.yaml && ln -s / d/rootfs && tar -C d -cf x.tar . && says "'rootfs' is not a directory" x.tar
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
