#!/bin/bash
# The host's own end. `lifetime`: the maximum is reached. `watch`: looks at the host, once a minute. `notice`: waits for EC2 to take a Spot instance
# back, which it says two minutes before.
. /usr/local/lib/sdocker/host.sh
. /usr/local/lib/sdocker/uses.sh
if [[ $1 == notice ]]; then
    token='' action=''
    while [[ -z $action ]]; do
        said=$(curl -sm 2 -w '\n%{http_code}' -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/spot/instance-action)
        case ${said##*$'\n'} in
        200) action=${said%$'\n'*} action=${action//[\"\\$'\n']/} ;;
        # The longest that a token lives is six hours (EC2 user guide, "Use the Instance Metadata Service to access instance metadata").
        401) token=$(curl -sfm 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' http://169.254.169.254/latest/api/token) ;;
        esac
        [[ -n $action ]] || sleep 15
    done
    echo "$action" >/run/sdocker/spot-notice
    say spot warning "EC2 takes this Spot instance back: $action"
    systemctl start --no-block sdocker-idle
    [[ -z ${swarm-} ]] || depart
    exit 0
fi
time=$EPOCHSECONDS
owner
# A host that stops has an idle clock that begins anew at each boot. Started again, it has half an hour at least, however old it is: to be kept,
# or for what is on it to be taken away.
goes="ends itself" booted=0 spare=0
if [[ -n ${stops-} ]]; then
    goes="stops itself, and keeps its disk"
    read -r booted _ </proc/uptime
    booted=$((time - ${booted%.*}))
    [[ $(</etc/sdocker/first-boot) == "$(</proc/sys/kernel/random/boot_id)" ]] || spare=$((booted + 1800))
fi
mem() { if [[ -e /var/lib/sdocker/$1 ]]; then echo "$(</var/lib/sdocker/"$1")"; else echo "${2:-0}"; fi; }
# Until when the user keeps the host, and no longer than was said at its launch: whoever is root in a container can write there, too.
kept() {
    local until latest before
    until=$(shared get "$folder" keep-until 12)
    until=${until//[!0-9]/}
    until=$((10#${until:-0}))
    if [[ -z $shared_home ]]; then
        # A reboot forgets what is in /run.
        before=$(mem kept)
        if ((until > before)); then echo "$until" >/var/lib/sdocker/kept; else until=$before; fi
    fi
    latest=$(</etc/sdocker/latest)
    echo $((until < latest ? until : latest))
}
end() {
    say life info "the host $goes: $1"
    [[ -z ${swarm-} ]] || depart
    publish
    systemctl poweroff
    exit 0
}
if [[ $1 == lifetime ]]; then
    while until=$(kept) time=$EPOCHSECONDS && ((until > time || spare > time)); do sleep 20; done
    end "its maximum lifetime is over"
fi

dockerds() { pgrep -x dockerd; }
uses=() notices=() failing=
if [[ ! -e /run/sdocker/ready ]]; then
    # Still starting, perhaps with a bootstrap that waits for the network. One that failed is no use.
    [[ $(systemctl show -P ActiveState sdocker-bootstrap) == failed ]] || uses+=(starting)
elif ! look /var/lib/sdocker/moved; then
    failing=1
fi
last=$(mem last-use "$time")
((last >= booted)) || last=$booted
if [[ -n $failing ]]; then
    since=$(mem failing-since "$time")
    echo "$since" >/var/lib/sdocker/failing-since
    notices+=("the daemon can not be looked at since $(at "$since")")
    # Not knowing is no idleness, until it lasts as long.
    ((idle_timeout == 0 || time - since >= idle_timeout)) || last=$time
else
    [[ ! -e /var/lib/sdocker/failing-since ]] || rm /var/lib/sdocker/failing-since
fi
keep=$(kept)
((${#uses[@]} == 0 && keep <= time)) || last=$time
echo "$last" >/var/lib/sdocker/last-use

expires=$(</etc/sdocker/expires)
((keep <= expires)) || expires=$keep
((spare <= expires)) || expires=$spare
ends=$expires deadline=null why="its maximum lifetime is over"
if ((idle_timeout > 0)); then
    deadline=$((last + idle_timeout))
    ((deadline >= ends)) || { ends=$deadline why="it was idle since $(at "$last")"; }
    deadline="\"$(at "$deadline")\""
fi
[[ ! -e /run/sdocker/spot-notice ]] || notices+=("EC2 takes this Spot instance back: $(</run/sdocker/spot-notice)")
full() {
    local said
    said=$(df --output=pcent /)
    echo "${said//[!0-9]/}"
}
used=$(full)
if ((used > 85)) && [[ -e /run/sdocker/ready ]]; then
    patience=300 daemon builder prune -f >/dev/null
    patience=300 daemon image prune -f >/dev/null
    after=$(full)
    notices+=("the disk was $used % full: build cache and dangling images were removed, now $after %")
    [[ $(mem pruned) == "$used" ]] || say disk info "$used % full: build cache and dangling images removed, now $after %"
    echo "$used" >/var/lib/sdocker/pruned
    used=$after
fi
if ((ends - time <= 600)) && [[ $(mem warned) != "$ends" ]]; then
    lost=
    [[ -n ${stops-} ]] || lost=$(losses)
    say life warning "the host $goes at $(at "$ends")$lost"
    echo "$ends" >/var/lib/sdocker/warned
fi
list() {
    local out=
    for item in "$@"; do out+="${out:+,}\"$item\""; done
    echo "[$out]"
}
idle=null
((${#uses[@]})) || idle="\"$(at "$last")\""
timeout_json=null
((idle_timeout == 0)) || timeout_json=$idle_timeout
json="{\"checked_at\":\"$(at "$time")\",\"expires_at\":\"$(at "$expires")\",\"keepable_until\":\"$(at "$(</etc/sdocker/latest)")\",\"idle_since\":$idle,\"idle_deadline\":$deadline,\"idle_timeout_seconds\":$timeout_json,\"uses\":$(list "${uses[@]}"),\"disk_used_percent\":$used,\"notices\":$(list "${notices[@]}")}"
# Each piece of a container's output has a header of eight bytes: its stream, and how long it is, which may hold what is a newline elsewhere (Docker
# Engine API, "Attach to a container", "Stream format").
if [[ $engine == dind ]]; then
    socket=/run/docker.sock patience=20 api 'http://docker/containers/sdocker/logs?stdout=1&stderr=1&tail=300' |
        LC_ALL=C sed -E ':more; /^[\x01\x02]\x00{5}.?$/ {N; b more}; s/^[\x01\x02]\x00{5}..//'
else
    journalctl -u docker -n 300 --no-pager
fi >/var/lib/sdocker/dockerd.log 2>&1
show /var/lib/sdocker/dockerd.log logs/dockerd.log
# To read a log is work for the daemon, the more of it the longer its lines are.
[[ -n $failing || ! -e /run/sdocker/ready ]] || looked /var/lib/sdocker/moved
# The last of what a look writes: who has read it finds the rest.
echo "$json" >/var/lib/sdocker/life.json
show /var/lib/sdocker/life.json life.json
publish
((time < ends)) || end "$why"
