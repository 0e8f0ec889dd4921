#!/bin/sh
# Does what docker:dind's own entry point does when it is given an explicit `dockerd ...`: pid files, cgroup v2 nesting, mounts, exec.
set -eu
if [ "$#" -eq 0 ] || [ "${1#-}" != "$1" ]; then
    echo 'this stand-in takes an explicit dockerd command only' >&2
    exit 64
fi
# As dockerd says it from 25 on (moby, cmd/dockerd: `loadDaemonCliConfig`).
case $DOCKER_MIN_API_VERSION in
"$LEAST_API") ;;
*) echo "invalid DOCKER_MIN_API_VERSION: minimum supported API version is $LEAST_API: $DOCKER_MIN_API_VERSION" >&2; exit 1 ;;
esac
# Of a daemon that was stopped uncleanly: one whose number another process has keeps dockerd from its start.
/bin/busybox rm -f /run/docker*.pid /var/run/docker*.pid
export container=docker
if ! mountpoint -q /tmp; then mount -t tmpfs none /tmp; fi
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p /sys/fs/cgroup/init
    for pid in $(cat /sys/fs/cgroup/cgroup.procs); do echo "$pid" > /sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true; done
    sed -e 's/ / +/g' -e 's/^/+/' < /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control || true
fi
mount --make-rshared / || true
exec docker-init -- "$@"
