#!/bin/bash
# Which networks Docker may take, for what cloud-init was told of the VPC. Docker keeps clear of what the host has routes to, which is its own
# subnet: containers on a network that another subnet has, the app's or a mount target's, would take its answers. Where none of Docker's
# defaults is in the VPC nothing is printed (Docker documentation, "dockerd", `--default-address-pool`; EC2 user guide, "Instance metadata
# categories").
# shellcheck disable=SC2086
number() { local IFS=. && set -- $1 && echo $((($1 << 24) + ($2 << 16) + ($3 << 8) + $4)); }
# clear NETWORK: of all of the VPC's.
clear() {
    local block bits
    for block in "${blocks[@]}"; do
        bits=$((32 - (${1#*/} < ${block#*/} ? ${1#*/} : ${block#*/})))
        (($(number "${1%/*}") >> bits != $(number "${block%/*}") >> bits)) || return
    done
}
blocks=() free=() clash=
facts=$(cat)
while [[ $facts =~ \"vpc-ipv4-cidr-blocks\":\ *(\[[^]]*\]|\"[^\"]*\")(.*) ]]; do
    found=${BASH_REMATCH[1]} facts=${BASH_REMATCH[2]}
    while [[ $found =~ ([0-9]+(\.[0-9]+){3}/[0-9]+)(.*) ]]; do
        blocks+=("${BASH_REMATCH[1]}") found=${BASH_REMATCH[3]}
    done
done
for network in {172.{17..31},192.168,10.{255..230}}.0.0/16; do
    [[ $network != 10.* ]] || ((${#free[@]} < 4)) || break
    if clear "$network"; then free+=("$network"); else clash=1; fi
done
[[ -n $clash ]] && ((${#free[@]} > 2)) || exit 0
pools=$(printf -- '--default-address-pool base=%s,size=20 ' "${free[@]:2}")
# One network for the host's own daemon, another for that of engine dind, which runs behind it.
echo "outer=(--bip ${free[0]%.0/16}.1/16 $pools)"
echo "inner=(--bip ${free[1]%.0/16}.1/16 $pools)"
