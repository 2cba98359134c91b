#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A block device of the host's disk, an overlay whiteout: no device is ever made. A hard link to one is none either.
. "$TESTS/images/lib.sh"
imported devices
[ -z "$(find "$(layer)" -type b -o -type c)" ] || fail 'a device was made'
rm -rf "$CTR_ROOT"
"$CTR" image import --json hostile.tar | grep -q '"skipped_devices": 4' || fail 'they were not counted'
