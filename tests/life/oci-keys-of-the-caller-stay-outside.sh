#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No process of a container, the first or one that joins, possesses the keys in the session keyring of who started it.
. "$TESTS/life/oci.bash"

keyring=$BUILD/tests/life/keyring
with() { "$keyring" make "$ID" secret "$@"; }
out=$(with "$keyring" read "$ID")
[ "$out" = secret ] || skip "no session keyrings here: $out"
bundle b "c['process']['args'] = ['/bin/keyring', 'read', '$ID']"
cp "$keyring" b/rootfs/bin/keyring
equal none "$(with "$CTR_OCI" --root "$ROOT" run -b b "$ID" </dev/null)" "run"
equal secret "$(with "$CTR_OCI" --root "$ROOT" run --no-new-keyring -b b "$ID" </dev/null)" "run --no-new-keyring"
change b "c['process']['args'] = ['/bin/sleep', '60']"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run"
equal none "$(with "$CTR_OCI" --root "$ROOT" exec "$ID" keyring read "$ID" </dev/null)" "exec"
