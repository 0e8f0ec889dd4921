#!/bin/bash
# The host's own end. `lifetime`: the maximum is reached. `watch`: looks at the host, once a minute.
. /usr/local/lib/sdocker/host.sh
. /usr/local/lib/sdocker/uses.sh
time=$(date +%s)
# A host that stops has an idle clock that begins anew at each boot. Started again, it has half an hour at least, however old it is: to be kept,
# or for what is on it to be taken away.
goes="ends itself" booted=0 spare=0
if [[ -n ${stops-} ]]; then
    goes="stops itself, and keeps its disk" booted=$((time - $(cut -d. -f1 /proc/uptime)))
    [[ $(</etc/sdocker/first-boot) == "$(</proc/sys/kernel/random/boot_id)" ]] || spare=$((booted + 1800))
fi
mem() { cat "/var/lib/sdocker/$1" 2>/dev/null || echo "${2:-0}"; }
# Until when the user keeps the host, and no longer than was said at its launch: whoever is root in a container can write there, too.
kept() {
    local until latest before
    until=$(shared get "$folder" keep-until 12 | tr -dc 0-9)
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
    while until=$(kept) time=$(date +%s) && ((until > time || spare > time)); do sleep 20; done
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
    rm -f /var/lib/sdocker/failing-since
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
if ((spot)); then
    token=$(curl -sfm 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
    action=$(curl -sfm 2 -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/spot/instance-action | tr -d '"\\\n')
    if [[ -n $action ]]; then
        notices+=("EC2 takes this Spot instance back: $action")
        [[ -e /run/sdocker/spot-notice ]] || {
            say spot warning "EC2 takes this Spot instance back: $action"
            [[ -z ${swarm-} ]] || depart
        }
        touch /run/sdocker/spot-notice
    fi
fi
used=$(df --output=pcent / | tr -dc 0-9)
if ((used > 85)) && [[ -e /run/sdocker/ready ]]; then
    patience=300 daemon builder prune -f >/dev/null
    patience=300 daemon image prune -f >/dev/null
    after=$(df --output=pcent / | tr -dc 0-9)
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
echo "$json" >/var/lib/sdocker/life.json
show /var/lib/sdocker/life.json life.json
if [[ $engine == dind ]]; then docker logs --tail 300 sdocker; else journalctl -u docker -n 300 --no-pager; fi >/var/lib/sdocker/dockerd.log 2>&1
show /var/lib/sdocker/dockerd.log logs/dockerd.log
publish
((time < ends)) || end "$why"
