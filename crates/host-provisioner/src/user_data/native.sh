#!/bin/bash
# Gives the image's own daemon our command line.
. /usr/local/lib/sdocker/host.sh
flags=(--host "unix://$socket" --host "tcp://0.0.0.0:$daemon_port" "${tls[@]}")
grep -qs '"log-' /etc/docker/daemon.json || flags+=(--log-opt max-size=10m --log-opt max-file=3)
grep -qs '"live-restore"' /etc/docker/daemon.json || flags+=(--live-restore)
# The image's own command line, with ours behind it.
command=$(systemctl cat docker.service | sed -n 's/^ExecStart=\(.\)/\1/p' | tail -n 1)
install -d /etc/systemd/system/docker.service.d
{
    echo "[Service]"
    for setting in "${proxies[@]}"; do
        # systemd's own quoting, and its specifiers.
        setting=${setting//\\/\\\\}
        setting=${setting//\"/\\\"}
        echo "Environment=\"${setting//%/%%}\""
    done
    echo "ExecStart="
    echo "ExecStart=${command:-/usr/bin/dockerd} ${flags[*]}"
} >/etc/systemd/system/docker.service.d/sdocker.conf
