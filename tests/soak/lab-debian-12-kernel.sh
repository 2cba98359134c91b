#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The lab's jobs under Debian 12's kernel, 6.1, with pure cgroup v2: old enough to lack much of the new mount interface.
# timeout: 1200
exec "$TESTS/lab/lab" run --no-build --kernel 6.1 oci-basic limits podman-smoke
