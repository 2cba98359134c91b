#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names become file names: what is none is refused before anything is done. Near ones are suggested.
. "$TESTS/images/lib.sh"
small a.tar
long=$(printf 'a%.0s' $(seq 300))
for name in ../x .. . / '' /etc/passwd a/../b a//b a/ A 'a b' a: :a a:b:c -a a- .a a: a:-x a:.x "$long" 'a%2f' a@b a+b $'a\nb' \
	'é' "$(printf 'a%.0s' $(seq 64))" a__-b a:"$long"; do
	"$CTR" image import -- a.tar "$name" >out 2>err && fail "'$name' is taken as a name"
	[ -s err ] || fail "'$name': nothing is said"
	"$CTR" image rm -- "$name" >out 2>err && fail "'$name' is removed"
done
for id in sha256: sha256:.. sha256:../../x sha256:abc sha256:zzzz; do
	"$CTR" image rm "$id" >out 2>err && fail "'$id' is removed"
done
store_is_empty
for name in a a:1 a.b_c__d---e:V1.0-x_ localhost:5000/a/b:t 0 docker.io/library/debian; do
	"$CTR" image import -q a.tar "$name" >/dev/null || fail "'$name' is refused"
	"$CTR" image rm "$name" >/dev/null || fail "'$name' cannot be removed"
done
store_is_empty
"$CTR" image import -q a.tar debian:13 >/dev/null
"$CTR" image rm debian 2>err
grep -q "did you mean 'debian:13'" err || fail "said: $(cat err)"
"$CTR" image rm debain:13 2>err
grep -q "did you mean 'debian:13'" err || fail "said: $(cat err)"
