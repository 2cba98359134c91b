#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# trusted.overlay.* and user.overlay.* in a layer would make an overlay show other files than the layer's; security.selinux and
# its kind are the host's. They are left out and counted, the rest is kept.
. "$TESTS/images/lib.sh"
imported overlay-attributes
grep -q '8 extended attributes were left out' err || fail "not told: $(cat err)"
got=$(tree "$(layer)" | grep -o '[a-z]*\.[a-z.]*=[0-9a-f]*')
[ "$got" = 'user.kept=796573' ] || fail "kept: $got"
imported capability-of-another-namespace
grep -q '2 extended attributes were left out' err || fail "not told: $(cat err)"
