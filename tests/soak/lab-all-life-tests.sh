#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All life tests of containers and instances under Debian 13's kernel with pure cgroup v2.
# timeout: 3600
exec "$TESTS/lab/lab" run --no-build -e LIFE=all life
