# What a host is used for, by what happens on it: connections that only wait, such as those of `docker events`, of clients that are stopped or
# gone, or of our own watching, are no use. Whoever includes this has the functions `daemon`, the Docker CLI, and `dockerds`, the daemon's processes,
# and `socket`, the daemon's.

# api OPTION... URL...: what the daemon answers. What is asked again and again is asked without the Docker CLI, whose start alone is more work.
api() { command curl -q -sf -m "${patience:-60}" --noproxy '*' --unix-socket "$socket" "$@"; }

# moved PROCESSES: what the daemon reads and writes in all, over the network and on disk: whatever is pulled, built, loaded or copied.
moved() {
    local pid key count sum=0
    for pid in $1; do
        while read -r key count; do [[ $key != [rw]char: ]] || ((sum += count)); done <"/proc/$pid/io"
    done 2>/dev/null
    echo "$sum"
}
# tend FILE: what a manager does for its Swarm, whose tasks are a use of it, wherever they run. A node that is seen to be down twice in a row is taken
# off the list: the tasks of jobs wait for it as long as it is there. One that ends soon is given no more tasks, where there is one that lives longer.
# FILE keeps what the next look needs.
tend() {
    local nodes id state availability ends down=" " before="" services last=0 soon=$(($(date +%s) + ${drain_before:-600}))
    nodes=$(daemon node ls -q 2>/dev/null) && [[ -n $nodes ]] || return 0
    # shellcheck disable=SC2086
    nodes=$(daemon node inspect -f '{{.ID}} {{.Status.State}} {{.Spec.Availability}} {{index .Spec.Labels "sdocker.ends"}}' $nodes)
    [[ ! -e $1 ]] || before=$(<"$1")
    while read -r id state availability ends; do
        ends=${ends//[!0-9]/}
        [[ $state != ready || $availability != active ]] || ((${ends:-9999999999} <= last)) || last=${ends:-9999999999}
        [[ $state == down ]] || continue
        if [[ $before == *" $id "* ]]; then
            daemon node demote "$id"
            daemon node rm --force "$id"
        else
            down+="$id "
        fi >/dev/null 2>&1
    done <<<"$nodes"
    echo "$down" >"$1"
    while read -r id state availability ends; do
        ends=${ends//[!0-9]/}
        [[ -z $ends || $availability != active ]] || ((ends > soon || ends >= last)) || daemon node update --availability drain "$id" >/dev/null 2>&1
    done <<<"$nodes"
    # What is to be no use of a host is none of the Swarm either.
    services=$(daemon service ls -q | grep -vxFf <(daemon service ls -q -f label=sdocker.idle=ignore))
    # shellcheck disable=SC2086
    [[ -z $services ]] || ! daemon service ps --format '{{.CurrentState}}' $services | grep -qE '^(New|Allocated|Pending|Assigned|Accepted|Preparing|Ready|Starting|Running)' ||
        uses+=("tasks in the Swarm")
}
# gpu_resources: the GPUs as resources of a node, each an option of dockerd.
gpu_resources() { nvidia-smi --query-gpu=uuid --format=csv,noheader 2>/dev/null | sed -n 's/^GPU-/--node-generic-resource=NVIDIA-GPU=&/p'; }
manages() { [[ $(daemon info -f '{{.Swarm.ControlAvailable}}' 2>/dev/null) == true ]]; }
# depart: takes this node out of its Swarm, where it is in one. What runs on it is told to stop, and goes on elsewhere. A manager hands on what it is
# before, so that those that are left agree without it.
depart() {
    local own tasks other patience=20
    [[ $(daemon info -f '{{.Swarm.LocalNodeState}}' 2>/dev/null) == active ]] || return 0
    # Only `node inspect` and `node ps` know a node `self`.
    own=$(daemon info -f '{{.Swarm.NodeID}}')
    ! manages || {
        daemon node update --availability drain "$own"
        if [[ $(daemon node ls -q -f role=manager | wc -l) == 1 ]]; then
            other=$(daemon node ls -f role=worker --format '{{.ID}} {{.Status}} {{.Availability}}' | sed -n 's/ Ready Active$//p' | head -n 1)
            [[ -z $other ]] || daemon node promote "$other"
        fi
    }
    tasks=$(daemon ps -qf label=com.docker.swarm.task.id)
    # shellcheck disable=SC2086
    [[ -z $tasks ]] || patience=60 daemon stop $tasks
    for _ in {1..20}; do
        manages || break
        daemon node demote "$own"
        sleep 1
    done
    daemon swarm leave --force
} >/dev/null 2>&1
# look FILE: the uses, into `uses`; fails where the daemon does not answer. FILE is what `looked` has kept after the look before.
look() {
    local said line names=() counted="" some daemons before since pid
    local named='^[0-9a-f]{64}","Names":\[("[^"]*",)*"/([^"/]+)"' begin='{"Id":"'
    uses=()
    said=$(api -i http://docker/_ping http://docker/containers/json) || return
    # A container begins with its id and its names, of which one is its own; those that links give it have a second slash. In a value each quote has
    # a backslash before it, so that none is taken for a label.
    while IFS= read -r line; do
        [[ ! $line =~ $named ]] || { names+=("${BASH_REMATCH[2]}") && counted=1; }
        [[ -z $counted || $line != *'"sdocker.idle":"ignore"'* && $line != *'"sdocker.agent":"'[!\"]* ]] || { unset 'names[-1]' && counted=; }
    done <<<"${said//"$begin"/$'\n'}"
    if ((${#names[@]})); then
        printf -v some ', %s' "${names[@]:0:5}"
        uses+=("${#names[@]} running containers: ${some:2}$( ((${#names[@]} <= 5)) || echo ", ...")")
    fi
    # A daemon says whether it is a manager in the header `Swarm` (moby, `pingHandler`), unless it is an old one.
    case $said in
    *$'\nSwarm: active/manager'*) tend "$1-swarm" ;;
    *$'\nSwarm: '*) ;;
    *) ! api -o /dev/null http://docker/nodes || tend "$1-swarm" ;;
    esac
    # A step of a BuildKit build runs below the daemon itself, a container below its shim. A step of the classic builder is a container.
    daemons=$(dockerds)
    for pid in $daemons; do
        ! pgrep -x runc -P "$pid" >/dev/null || { uses+=("a build") && break; }
    done
    # The daemon's own upkeep, and lists that an editor asks for, are far below 16 KiB a second.
    # A full disk keeps an empty file.
    [[ ! -s $1 ]] || { read -r before since <"$1" && (($(moved "$daemons") - before <= (EPOCHSECONDS - since) * 16384)); } || uses+=("data on its way")
}
# looked FILE: the end of a look that had an answer. What was moved until now, such as what it has asked the daemon for itself, is no use at the next.
looked() { echo "$(moved "$(dockerds)") $EPOCHSECONDS" >"$1"; }
# The user's things on the host, of one kind, that are nowhere else.
belongings() {
    case $1 in
    container) daemon ps -a --format '{{if .Label "sdocker.agent"}}{{else}}{{.Names}}{{end}}' ;;
    volume) daemon volume ls -q ;;
    # Those of no registry have no digest.
    image) daemon image ls --format '{{.Digest}} {{.Repository}}:{{.Tag}}' | sed -n 's/^<none> \([^<]\)/\1/p' | grep -vE '^sdocker-(agent|nothing):' ;;
    esac 2>/dev/null | sed '/^$/d'
}
# What goes with the host, as the rest of a sentence.
losses() {
    local kind names count lost=
    for kind in container image volume; do
        names=$(belongings "$kind")
        [[ -n $names ]] || continue
        count=$(wc -l <<<"$names")
        names=$(head -n 5 <<<"$names" | paste -sd ,)
        lost+="${lost:+; }$kind$( ((count == 1)) || echo s) ${names//,/, }$( ((count <= 5)) || echo " and $((count - 5)) more")"
    done
    [[ -z $lost ]] || echo ", and with it $lost"
}
