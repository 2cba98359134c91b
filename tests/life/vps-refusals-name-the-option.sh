#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is refused is named as the person wrote it: the option, not a key, nor a member of config.json.
. "$TESTS/life/vps.bash"
rootfs r
refused() { # refused TEXT OPTION...
	local text=$1
	shift
	want 125 "$CTR" run --rm "$@" r true
	grep -qF -- "$text" err || fail "$*: not '$text' but: $(cat err)"
}
touch f
mkdir d
refused "--net: 'a b' is none of: none, host, container:NAME, ns:PATH, the name of a network" --net 'a b'
refused "--net: 'bridge:ip=10.1' is not NETWORK:ip=ADDRESS" --net bridge:ip=10.1
refused "--publish: '80' is not [IP:]PORT:PORT" --net bridge -p 80
refused "--userns: 'owm' is unknown, did you mean 'own'?" --userns owm
refused "--workdir: 'usr' is not an absolute path" -w usr
refused "--env: '=x' is not NAME=VALUE" -e =x
refused '--memory: 1024 is too little: 65536 at least' -m 1k
refused "--cap-add: 'CAP_FOO' is not a capability" --cap-add foo
refused "--volume: '$PWD/d' is not SOURCE:TARGET" -v "$PWD/d"
refused "--volume: '$PWD/d:/v:rx': unknown option 'rx', did you mean 'ro'?" -v "$PWD/d:/v:rx"
refused "--volume $PWD/f:/etc: cannot mount $PWD/f on '/etc': there is a directory" -v "$PWD/f:/etc"
refused "--volume $PWD/d:/file: cannot open directory '/file': Not a directory" -v ./f:/file -v "$PWD/d:/file"
refused ':noidmap' -v /proc/self/net:/v
want 0 "$CTR" run --rm -v /dev/null:/v:noidmap r cat /v

# somebody else than root has a place of its own, and is told where it cannot be
want 125 setpriv --reuid 1234 --regid 1234 --clear-groups "$CTR" run r true
said err "no place for this user's images and instances (CTR_ROOT says where): cannot make directory "
