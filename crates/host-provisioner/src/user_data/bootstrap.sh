#!/bin/bash
# Makes this machine a Docker host, at each boot: mounts, image and identity at the same time, then the daemon.
. /usr/local/lib/sdocker/host.sh
exec >>/var/lib/sdocker/bootstrap.log 2>&1
mkdir -p /run/sdocker
rm -f /run/sdocker/{mounted,ready,over}
why=/run/sdocker/why
metadata() { curl -sfm 5 --retry 10 --retry-connrefused --retry-delay 1 "$@"; }

# Says that a stage which began at a time in microseconds is done, with the seconds that it took, to a tenth.
finished() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - $2) / 100000))
    say "$1" "done" "$((tenths / 10)).$((tenths % 10)) s"
}

# A stage writes a line when it begins and one when it ends; what it echoes last says why it failed.
stage() {
    local name=$1 began=${EPOCHREALTIME/[.,]/} code
    shift
    say "$name" started
    "$@" >"$why.$name" 2>&1
    code=$?
    [[ ! -s $why.$name ]] || cat "$why.$name"
    if ((code == 0)); then
        finished "$name" "$began"
    else
        say "$name" failed "$(tail -n 1 "$why.$name")"
        shared cp /var/lib/sdocker/bootstrap.log "$folder/logs/bootstrap.log"
        return 1
    fi
}
# What is said reaches the shared folder at once, without a stage waiting for it.
publishing() {
    while [[ ! -e /run/sdocker/over ]]; do
        publish
        sleep 0.3
    done
}
over() {
    touch /run/sdocker/over
    wait
    publish
    shared cp /var/lib/sdocker/bootstrap.log "$folder/logs/bootstrap.log"
    exit "$1"
}

identify() {
    local token base=http://169.254.169.254/latest
    token=$(metadata -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$base"/api/token) || { echo "no instance metadata"; return 1; }
    id=$(metadata -H "X-aws-ec2-metadata-token: $token" "$base"/meta-data/instance-id) || { echo "no instance id"; return 1; }
    type=$(metadata -H "X-aws-ec2-metadata-token: $token" "$base"/meta-data/instance-type) || { echo "no instance type"; return 1; }
    printf 'instance=%q\n' "${type}_$id" >/etc/sdocker/identity
}

# efs FILE_SYSTEM ACCESS_POINT ADDRESS REMOTE_PATH PATH...
efs() {
    local system=$1 access=$2 address=$3 remote=$4 first=$5 error="" deadline=$((SECONDS + 120))
    shift 5
    mountpoint -q "$first" && return 0
    mkdir -p "$first"
    while :; do
        if [[ -n $access ]]; then
            [[ -x /sbin/mount.efs ]] || dnf -qy install amazon-efs-utils || { echo "amazon-efs-utils can not be installed"; return 1; }
            error=$(timeout -s KILL 30 mount -t efs -o "tls,accesspoint=$access,mounttargetip=$address" "$system:$remote" "$first" 2>&1) && break
        else
            error=$(timeout -s KILL 30 mount -t nfs4 -o retry=0,nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport "$address:$remote" "$first" 2>&1) && break
        fi
        ((SECONDS < deadline)) || { echo "$system ($address:$remote) does not mount at $first: ${error:-no answer}"; return 1; }
        sleep 5
    done
    for path in "$@"; do
        mkdir -p "$path"
        mountpoint -q "$path" || mount --bind "$first" "$path" || { echo "$first does not mount at $path"; return 1; }
    done
}

identity() {
    local from=$folder/certs/server to=/etc/sdocker/tls
    [[ ! -e $to/key.pem ]] || return 0
    for ((tries = 0; ; tries++)); do
        # Reading the folder anew makes NFS forget what it knew.
        if [[ $(timeout -s KILL 10 ls "$from" 2>/dev/null) == *key.pem* ]]; then break; fi
        ((tries < 600)) || { echo "no certificate appeared in $from"; return 1; }
        sleep 0.5
    done
    install -D -m 600 -t "$to.new" "$from"/{ca,cert,key}.pem && mv "$to.new" "$to" && rm -f "$from/key.pem"
}

image() {
    systemctl start docker || { echo "Docker does not start"; return 1; }
    docker image inspect "$dind_image" >/dev/null 2>&1 && return 0
    for _ in 1 2 3; do
        docker pull -q "$dind_image" && return 0
        sleep 5
    done
    echo "$dind_image can not be pulled: $(docker pull -q "$dind_image" 2>&1 | tail -n 1)"
    return 1
}

dind() {
    # At later boots it starts with Docker.
    docker start sdocker 2>/dev/null && return 0
    local run=(-d --name sdocker --privileged --restart always --log-opt max-size=10m --log-opt max-file=3
        -v /run/sdocker:/run/sdocker -v /etc/sdocker/tls:/etc/sdocker/tls:ro -v sdocker-data:/var/lib/docker
        -p "$daemon_port:2376" -p "$endpoint_port:$endpoint_port")
    for port in "${additional_ports[@]}"; do run+=(-p "$port:$port"); done
    for path in "${paths[@]}"; do run+=(-v "$path:$path:rslave"); done
    for setting in "${proxies[@]}"; do run+=(-e "$setting"); done
    docker run "${run[@]}" "$dind_image" dockerd --host "unix://$socket" --host tcp://0.0.0.0:2376 "${tls[@]}" \
        --log-opt max-size=10m --log-opt max-file=3
}

native() {
    systemctl start docker || { echo "Docker does not start: $(journalctl -u docker -n 20 --no-pager -o cat | grep -v '^$' | tail -n 1)"; return 1; }
}

answers() {
    for ((tries = 0; ; tries++)); do
        curl -sf -o /dev/null --unix-socket "$socket" http://docker/_ping && break
        ((tries < 600)) || { echo "the daemon does not answer"; return 1; }
        if [[ $engine == dind && $(docker inspect -f '{{.State.Restarting}}' sdocker) == true ]]; then
            echo "the daemon ends again and again: $(docker logs --tail 1 sdocker 2>&1)"
            return 1
        fi
        sleep 0.1
    done
}

network() {
    # 409: it is there already, after the first boot.
    local code
    code=$(curl -s -o "$why.answer" -w '%{http_code}' --unix-socket "$socket" -H 'Content-Type: application/json' \
        -d '{"Name": "sagemaker", "CheckDuplicate": true}' http://docker/networks/create)
    [[ $code == 201 || $code == 409 ]] || { echo "the network sagemaker can not be made: $(cat "$why.answer")"; return 1; }
}

hook() {
    bash "$shared_home/$1" || { echo "$1 ended with exit code $?"; return 1; }
}

started=${EPOCHREALTIME/[.,]/}
identifying=
if [[ ! -e /etc/sdocker/identity ]]; then
    stage metadata identify &
    identifying=$!
fi
first_boot=
[[ -e /var/lib/sdocker/came-up ]] || first_boot=1
pulling=
if [[ $engine == dind && -n $first_boot ]]; then
    stage image image &
    pulling=$!
fi
if declare -F mounts >/dev/null; then stage mounts mounts || over 1; fi
if [[ -n $identifying ]]; then wait "$identifying" || over 1; fi
. /usr/local/lib/sdocker/host.sh
if [[ -n $folder ]]; then
    mkdir -p "$folder/logs"
    : >/run/sdocker/mounted
    publishing &
    if [[ -e $shared_home/pre-bootstrap.sh ]]; then stage pre-bootstrap hook pre-bootstrap.sh || over 1; fi
    stage identity identity || over 1
fi
# At later boots Docker starts only now: containers that it starts then find the home mounted.
if [[ $engine == dind && -z $first_boot ]]; then stage image image || over 1; fi
if [[ -n $pulling ]]; then wait "$pulling" || over 1; fi
stage daemon "$engine" || over 1
stage answers answers || over 1
stage network network || over 1
touch /run/sdocker/ready
systemctl start --no-block sdocker-endpoint
if ((nvidia)); then
    if daemon info -f '{{json .Runtimes}}' | grep -q nvidia && gpus=$(nvidia-smi -L); then
        say gpu "done" "$(wc -l <<<"$gpus") GPU, NVIDIA runtime"
    else
        say gpu warning "the NVIDIA runtime is not there: containers can not use the GPU"
    fi
fi
if [[ -n $folder && -e $shared_home/post-bootstrap.sh ]]; then
    hook post-bootstrap.sh || say post-bootstrap warning "post-bootstrap.sh failed"
fi
finished ready "$started"
if [[ -n $first_boot ]]; then
    systemctl disable docker.service docker.socket
    systemctl disable --now --no-block ecs
    touch /var/lib/sdocker/came-up
fi
over 0
