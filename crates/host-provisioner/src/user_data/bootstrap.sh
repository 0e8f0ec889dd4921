#!/bin/bash
# Makes this machine a Docker host, at each boot: mounts, image and identity at the same time, then the daemon.
. /usr/local/lib/sdocker/host.sh
[[ ! -e /usr/local/lib/sdocker/shared.sh ]] || . /usr/local/lib/sdocker/shared.sh
exec >>/var/lib/sdocker/bootstrap.log 2>&1
mkdir -p /run/sdocker
rm -f /run/sdocker/{mounted,ready,over}
why=/run/sdocker/why

# Says that a stage which began at a time in microseconds is done, with the seconds that it took, to a tenth.
finished() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - $2) / 100000))
    say "$1" "done" "$((tenths / 10)).$((tenths % 10)) s"
}

# A stage writes a line when it begins and one when it ends; what it echoes last says why it failed.
stage() {
    say "$1" started
    ends "$1" "${EPOCHREALTIME/[.,]/}" "${@:2}"
}
# ends STAGE BEGAN COMMAND...
ends() {
    local name=$1 began=$2 code
    shift 2
    "$@" >"$why.$name" 2>&1
    code=$?
    [[ ! -s $why.$name ]] || cat "$why.$name"
    if ((code == 0)); then
        finished "$name" "$began"
    else
        say "$name" failed "$(tail -n 1 "$why.$name")"
        show /var/lib/sdocker/bootstrap.log logs/bootstrap.log
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
    show /var/lib/sdocker/bootstrap.log logs/bootstrap.log
    exit "$1"
}

metadata() {
    local token try=(curl -sfm 5 --retry 10 --retry-connrefused --retry-delay 1) base=http://169.254.169.254/latest
    token=$("${try[@]}" -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$base/api/token") &&
        "${try[@]}" -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/$1"
}

identify() {
    local id type
    if ! id=$(metadata instance-id) || ! type=$(metadata instance-type); then
        echo "no instance metadata"
        return 1
    fi
    printf 'instance=%q\n' "${type}_$id" >/etc/sdocker/identity
}

# Amazon's helper mounts with encryption. Another process may hold the package database for a while.
has_helper() { [[ -x /sbin/mount.efs ]]; }
helper() {
    local said
    for _ in 1 2 3; do
        ! has_helper || return 0
        said=$(timeout -s KILL 100 dnf -qy install amazon-efs-utils 2>&1) || sleep 5
    done
    has_helper && return
    said=${said##*$'\n'}
    # Amazon Linux 2023 user guide, "Managing repositories": they are in S3.
    echo "amazon-efs-utils can not be installed: ${said:-no answer within 100 s}; without a way to the internet the VPC needs a gateway endpoint for S3"
    return 1
}

# efs FILE_SYSTEM ACCESS_POINT ADDRESS REMOTE_PATH PATH...
efs() {
    local system=$1 access=$2 address=$3 remote=$4 first=$5 error="" said="" tls="" plain=1 deadline=$((SECONDS + 120))
    shift 5
    # Keys and data cross the VPC encrypted where that needs nothing more than the image has.
    ! has_helper || tls=1
    [[ -z $access ]] || tls=1 plain=""
    mountpoint -q "$first" && return 0
    mkdir -p "$first"
    while :; do
        if [[ -n $tls ]]; then
            helper || return
            error=$(timeout -s KILL 60 mount -t efs -o "nosuid,nodev,tls,${access:+accesspoint=$access,}mounttargetip=$address" "$system:$remote" "$first" 2>&1) && break
            said=${error##*$'\n'}
        fi
        if [[ -n $plain ]]; then
            error=$(timeout -s KILL 30 mount -t nfs4 -o nosuid,nodev,retry=0,nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport "$address:$remote" "$first" 2>&1) && {
                [[ -z $tls ]] || say mounts warning "$system is mounted without encryption: $said"
                break
            }
            # A file system's policy may demand encryption in transit (EFS user guide, "Using IAM to control file system data access").
            [[ $error != *"access denied"* ]] || tls=1 plain=""
        fi
        ((SECONDS < deadline)) || { echo "$system ($address:$remote) does not mount at $first: ${error:-no answer}"; return 1; }
        sleep 5
    done
    for path in "$@"; do
        mkdir -p "$path"
        mountpoint -q "$path" || mount --bind "$first" "$path" || { echo "$first does not mount at $path"; return 1; }
    done
}

# Containers reach neither a file system nor the instance's metadata by themselves: EFS takes whoever is root for root, with everybody's homes.
# What comes from a container passes PREROUTING, what the host itself sends does not; containers in the host's own network are told by
# their control group. Docker's own rules come later, whenever it writes them.
fence() {
    local table metadata to
    for table in iptables ip6tables; do
        metadata=169.254.169.254
        if [[ $table == ip6tables ]]; then
            [[ -e /proc/net/if_inet6 ]] || continue
            metadata=fd00:ec2::254
        fi
        for to in "-d $metadata" "-p tcp --dport 2049"; do
            # shellcheck disable=SC2086
            rule "$table" -t raw PREROUTING $to -j DROP || return
            # shellcheck disable=SC2086
            [[ $engine != native ]] || rule "$table" -t filter OUTPUT -m cgroup --path sdocker.slice $to -j REJECT || return
        done
    done
}
# rule TABLES -t TABLE CHAIN RULE...: where it is not there yet.
rule() { "$1" -w "$2" "$3" -C "${@:4}" 2>/dev/null || "$1" -w "$2" "$3" -I "${@:4}"; }

# pull IMAGE: within the time that its size warrants.
pull() {
    docker image inspect "$1" >/dev/null 2>&1 || timeout -s KILL "$limit" docker pull -q "$1"
}
# The first try goes along with the mounts.
early() { systemctl start docker && ecr_login && pull "$dind_image"; }
image() {
    local image login said code tries=("$dind_image" "$dind_image") whys=() silent=
    if [[ -n $pulling ]]; then
        wait "$pulling" && return
        (($? != 137)) || silent=$dind_image whys+=("$dind_image can not be pulled: no answer within $limit s")
    fi
    systemctl start docker || { echo "Docker does not start"; return 1; }
    # Docker Hub limits pulls by address, and may be out of reach. Its own images are in Amazon's public registry too (ECR Public user guide,
    # "Docker official images").
    [[ -z $hub ]] || tries=("$dind_image" "$hub" "$hub")
    for image in "${tries[@]}"; do
        # What did not answer for so long is not asked again.
        [[ $image != "$silent" ]] || continue
        login=$(ecr_login 2>&1)
        said=$(pull "$image" 2>&1)
        code=$?
        if ((code == 0)); then
            [[ $image == "$dind_image" ]] || { docker tag "$image" "$dind_image" && say image info "it came from $image: ${whys[0]}"; }
            return 0
        fi
        ((code != 137)) || silent=$image
        said=${said##*$'\n'}
        whys+=("$image can not be pulled: ${said:-no answer within $limit s}${login:+; ${login##*$'\n'}}")
        echo "${whys[-1]}"
        sleep 3
    done
    [[ -n $hub ]] || return 1
    say image warning "the image's own Docker serves in its place: ${whys[0]}; ${whys[-1]}"
    engine=native
    echo engine=native >>/etc/sdocker/settings
    /usr/local/lib/sdocker/daemon.sh
    systemctl daemon-reload
    systemctl stop docker.socket docker
}

# An image in ECR is pulled with the instance profile, where there is one. The ECS-optimised image has no AWS CLI (aws/amazon-ecs-ami makes it of
# Amazon Linux's minimal image), so curl asks (ECR API reference, "GetAuthorizationToken"; "Amazon ECR endpoints").
ecr_login() {
    [[ $dind_image =~ ^([0-9]+\.dkr\.ecr\.([a-z0-9-]+)\.(amazonaws\.com(\.cn)?))/ ]] || return 0
    local registry=${BASH_REMATCH[1]} region=${BASH_REMATCH[2]} domain=${BASH_REMATCH[3]} role credentials answer
    # Amazon Linux's curl can sign: Fedora's curl.spec, which its packages come from, leaves that in the minimal build as well.
    # What the user's own hook has logged in to is left as it is.
    ! grep -qsF "\"$registry\"" "$DOCKER_CONFIG/config.json" || return 0
    if ! role=$(metadata iam/security-credentials/) || ! credentials=$(metadata "iam/security-credentials/$role"); then
        echo "no instance profile to log in to $registry with"
        return 0
    fi
    field() { [[ $2 =~ \"$1\"\ *:\ *\"([^\"]*)\" ]] && echo "${BASH_REMATCH[1]}"; }
    answer=$(env "${proxies[@]}" curl -q -sSm 30 --config - 2>&1 <<END
url = "https://api.ecr.$region.$domain/"
user = "$(field AccessKeyId "$credentials"):$(field SecretAccessKey "$credentials")"
aws-sigv4 = "aws:amz:$region:ecr"
header = "X-Amz-Security-Token: $(field Token "$credentials")"
header = "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
header = "Content-Type: application/x-amz-json-1.1"
data = "{}"
END
    )
    field authorizationToken "$answer" | base64 -d | cut -d: -f2 | docker login -u AWS --password-stdin "$registry" >/dev/null ||
        echo "no login to $registry: $answer"
}

# A daemon that wants a higher minimum of its API says which.
raises() {
    [[ $1 =~ DOCKER_MIN_API_VERSION.*\ is\ ([0-9.]+) && ${BASH_REMATCH[1]} != "$least_api" ]] || return
    least_api=${BASH_REMATCH[1]}
    echo "least_api=$least_api" >>/etc/sdocker/settings
}

dind() {
    # At later boots it starts with Docker.
    docker start sdocker 2>/dev/null && return 0
    # On the disk: the image would have it in memory, where no folder of the app stays protected until it is shared again after a boot.
    install -d -m 1777 /var/lib/sdocker/tmp
    local run=(-d --name sdocker --privileged --restart always --log-opt max-size=10m --log-opt max-file=3
        -v /var/lib/sdocker/tmp:/tmp -v /run/sdocker:/run/sdocker -v /etc/sdocker/tls:/etc/sdocker/tls:ro -v sdocker-data:/var/lib/docker
        -p "$daemon_port:2376" -p "$endpoint_port:$endpoint_port")
    for port in "${additional_ports[@]}"; do run+=(-p "$port:$port"); done
    for path in "${paths[@]}"; do run+=(-v "$path:$path:rslave"); done
    for setting in "${proxies[@]}" "DOCKER_MIN_API_VERSION=$least_api"; do run+=(-e "$setting"); done
    if nvidia-smi -L >/dev/null 2>&1 && [[ $(docker info -f '{{json .Runtimes}}') == *nvidia* ]]; then run+=(--gpus all); fi
    docker run "${run[@]}" "$dind_image" dockerd --host "unix://$socket" --host tcp://0.0.0.0:2376 "${tls[@]}" \
        --log-opt max-size=10m --log-opt max-file=3 "${inner[@]}"
}

native() {
    local said
    if [[ -n ${swarm-} ]] && ((nvidia)); then
        /usr/local/lib/sdocker/daemon.sh gpus
        systemctl daemon-reload
    fi
    systemctl start docker && return
    said=$(journalctl -u docker -n 20 --no-pager -o cat | grep -v '^$')
    if raises "$said"; then
        /usr/local/lib/sdocker/daemon.sh gpus
        systemctl daemon-reload
        systemctl reset-failed docker
        systemctl restart docker && return
    fi
    echo "Docker does not start: ${said##*$'\n'}"
    return 1
}

answers() {
    local said cause restarting restarts
    for ((tries = 0; ; tries++)); do
        curl -sf -o /dev/null --unix-socket "$socket" http://docker/_ping && break
        ((tries < 600)) || { echo "the daemon does not answer"; return 1; }
        restarting=false restarts=0
        [[ $engine != dind ]] || read -r restarting restarts < <(docker inspect -f '{{.State.Restarting}} {{.RestartCount}}' sdocker)
        if [[ $restarting == true ]]; then
            said=$(docker logs --tail 30 sdocker 2>&1)
            if raises "$said"; then
                docker rm -f sdocker
                dind || return
                continue
            fi
            # Once may be chance: dockerd gives its containerd 15 s to start.
            if ((restarts > 2)); then
                cause=$(grep -iE 'fatal|fail|error|invalid' <<<"$said" | tail -n 1)
                echo "the daemon ends again and again: ${cause:-${said##*$'\n'}}"
                return 1
            fi
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

started=${EPOCHREALTIME/[.,]/}
identifying=
if [[ ! -e /etc/sdocker/identity ]]; then
    stage metadata identify &
    identifying=$!
fi
first_boot=
[[ -e /var/lib/sdocker/came-up ]] || first_boot=1
pulling=
# A name of Docker Hub's own image, by which Amazon's public registry has it.
hub=
limit=1500
if [[ $dind_image =~ ^((docker\.io/)?library/)?docker(:[^/]*)?$ ]]; then
    hub=public.ecr.aws/docker/library/docker${BASH_REMATCH[3]}
    limit=300
fi
image_began=$started
if [[ $engine == dind && -n $first_boot ]]; then
    say image started
    early >"$why.early" 2>&1 &
    pulling=$!
fi
if declare -F mounts >/dev/null; then stage mounts mounts || over 1; fi
if [[ -n $identifying ]]; then wait "$identifying" || over 1; fi
. /usr/local/lib/sdocker/host.sh
# Nobody's: what containers put there is never followed by root.
[[ -n $shared_home ]] || { chmod 711 /run/sdocker && install -d -m 755 -o 65534 -g 65534 "$account"; }
if [[ -n $folder ]]; then
    : >/run/sdocker/mounted
    publishing &
fi
if [[ -n $shared_home && -n $folder ]]; then
    if [[ -n ${pre_bootstrap-} ]]; then stage pre-bootstrap hook pre-bootstrap.sh "$pre_bootstrap" || over 1; fi
    stage identity identity || over 1
fi
# At later boots Docker starts only now: containers that it starts then find the home mounted.
if [[ $engine == dind ]]; then
    [[ -n $first_boot ]] || { image_began=${EPOCHREALTIME/[.,]/} && say image started; }
    ends image "$image_began" image || over 1
fi
[[ $engine != native ]] || systemctl start sdocker.slice
fence >"$why.fence" 2>&1 || say fence warning "containers may reach file systems and instance metadata: $(tail -n 1 "$why.fence")"
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
if [[ -n ${post_bootstrap-} ]]; then
    hook post-bootstrap.sh "$post_bootstrap" >"$why.hook" 2>&1 || say post-bootstrap warning "post-bootstrap.sh failed: $(tail -n 1 "$why.hook")"
    cat "$why.hook"
fi
finished ready "$started"
if [[ -n $first_boot ]]; then
    systemctl disable docker.service docker.socket
    touch /var/lib/sdocker/came-up
fi
over 0
