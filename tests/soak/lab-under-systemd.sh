#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The lab's other jobs where systemd is process 1, which mounts cgroup2 its own way and manages cgroups for podman.
# timeout: 1200
exec "$TESTS/lab/lab" run --no-build --systemd podman-smoke limits oci-basic
