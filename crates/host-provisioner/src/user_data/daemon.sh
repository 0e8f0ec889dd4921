#!/bin/bash
# What the image's own daemon is started with: the proxies, networks clear of the VPC, and with engine native our command line.
. /usr/local/lib/sdocker/host.sh
# Folders of the app that no boot leaves as they were, because they are in memory: a container that starts before they are shared again is to fail,
# and not to write there what is lost.
if [[ ${1-} == guard ]]; then
    [[ -e /var/lib/sdocker/guarded ]] || exit 0
    while IFS= read -r path; do
        mkdir -p "$path"
        mountpoint -q "$path" || mount -t tmpfs -o ro,nosuid,nodev,noexec,size=4k,mode=0555 sdocker-guard "$path"
    done </var/lib/sdocker/guarded
    exit 0
fi
. /usr/local/lib/sdocker/uses.sh
settings=("${proxies[@]}")
flags=()
if [[ $engine == native ]]; then
    settings+=("DOCKER_MIN_API_VERSION=$least_api")
    flags+=(--host "unix://$socket" --host "tcp://0.0.0.0:$daemon_port" "${tls[@]}")
    grep -qs '"log-' /etc/docker/daemon.json || flags+=(--log-opt max-size=10m --log-opt max-file=3)
    # Swarm takes no daemon with it (moby, `errSwarmLiveRestore`).
    [[ -n ${swarm-} ]] || grep -qs '"live-restore"' /etc/docker/daemon.json || flags+=(--live-restore)
    # Swarm gives GPUs to the services that ask for them; which one a container has, NVIDIA's runtime reads from its environment (Docker
    # documentation, "dockerd", "Node generic resources"). The driver is there when the bootstrap asks, and not yet when cloud-init does.
    if [[ -n ${swarm-} && ${1-} == gpus ]]; then
        mapfile -t gpus < <(gpu_resources)
        flags+=("${gpus[@]}")
        ((${#gpus[@]} == 0)) || grep -qs '"default-runtime"' /etc/docker/daemon.json || flags+=(--default-runtime nvidia)
        sed -i 's/^#\? *swarm-resource *=.*/swarm-resource = "DOCKER_RESOURCE_NVIDIA-GPU"/' /etc/nvidia-container-runtime/config.toml
    fi
    # By their control group the host's firewall knows containers. The name of a slice is systemd's; with cgroupfs there is none.
    grep -qsE '"cgroup-parent"|cgroupdriver=cgroupfs' /etc/docker/daemon.json || flags+=(--cgroup-parent sdocker.slice)
fi
grep -qsE '"(bip|default-address-pools)"' /etc/docker/daemon.json || flags+=("${outer[@]}")
if ((${#flags[@]})); then
    # The image's own command line, with ours behind it.
    rm -f /etc/systemd/system/docker.service.d/sdocker.conf
    command=$(systemctl cat docker.service | sed -n 's/^ExecStart=\(.\)/\1/p' | tail -n 1)
fi
install -d /etc/systemd/system/docker.service.d
{
    echo "[Service]"
    for setting in "${settings[@]}"; do
        # systemd's own quoting, and its specifiers.
        setting=${setting//\\/\\\\}
        setting=${setting//\"/\\\"}
        echo "Environment=\"${setting//%/%%}\""
    done
    if ((${#flags[@]})); then
        echo "ExecStartPre=-/usr/local/lib/sdocker/daemon.sh guard"
        echo "ExecStart="
        echo "ExecStart=${command:-/usr/bin/dockerd} ${flags[*]}"
    fi
} >/etc/systemd/system/docker.service.d/sdocker.conf
