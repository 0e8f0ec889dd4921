# The host's set-up, which user data ends with; its `instance_id` is known.
# The first thing is the end: the host ends itself after its maximum lifetime, whatever else fails. The second is the idle watch.
install -d -m 700 /etc/sdocker /run/sdocker /var/lib/sdocker/{home,docker}
echo $(($(date +%s) + max_lifetime)) >/etc/sdocker/expires
# No `keep` goes beyond this.
echo $(($(date +%s) + 7 * max_lifetime)) >/etc/sdocker/latest
[[ -z ${stops-} ]] || cat /proc/sys/kernel/random/boot_id >/etc/sdocker/first-boot
unit() { cat >"/etc/systemd/system/$1"; }
unit sdocker-lifetime.service <<'END'
[Service]
ExecStart=/usr/local/lib/sdocker/life.sh lifetime
Restart=on-failure
RestartSec=10
END
unit sdocker-lifetime.timer <<END
[Timer]
OnCalendar=$(date -u -d "@$(</etc/sdocker/expires)" '+%Y-%m-%d %H:%M:%S UTC')
OnActiveSec=$max_lifetime
AccuracySec=1
Persistent=true
[Install]
WantedBy=timers.target
END
# A power-off that something holds up, such as a file server that is gone, is forced.
install -d /etc/systemd/system/{poweroff.target,docker-.scope}.d
unit poweroff.target.d/sdocker.conf <<'END'
[Unit]
JobTimeoutSec=2min
JobTimeoutAction=poweroff-force
END
# A container whose first process takes no SIGTERM has as long as `docker stop` gives it (its `--time`). systemd would wait for 90 seconds whenever the
# host stops or starts anew.
unit docker-.scope.d/sdocker.conf <<'END'
[Scope]
TimeoutStopSec=10
END
unit sdocker-idle.service <<'END'
[Service]
Type=oneshot
ExecStart=/usr/local/lib/sdocker/life.sh watch
END
unit sdocker-idle.timer <<'END'
[Timer]
OnActiveSec=60
OnUnitActiveSec=60
AccuracySec=1
[Install]
WantedBy=timers.target
END
unit sdocker-notice.service <<'END'
[Service]
ExecStart=/usr/local/lib/sdocker/life.sh notice
Restart=on-failure
RestartSec=10
[Install]
WantedBy=multi-user.target
END
unit sdocker-bootstrap.service <<'END'
[Unit]
Wants=network-online.target
After=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=infinity
ExecStart=/usr/local/lib/sdocker/bootstrap.sh
[Install]
WantedBy=multi-user.target
END
unit sdocker-endpoint.service <<'END'
[Service]
ExecStart=/usr/local/lib/sdocker/endpoint.sh
Restart=always
RestartSec=2
END
chmod 700 /usr/local/lib/sdocker/*.sh
# As `systemctl enable` does, which would make systemd read all its units anew each time.
wanted() { install -d "/etc/systemd/system/$1.wants" && ln -sf "../$2" "/etc/systemd/system/$1.wants/$2"; }
wanted timers.target sdocker-lifetime.timer
wanted timers.target sdocker-idle.timer
wanted multi-user.target sdocker-bootstrap.service
((!spot)) || wanted multi-user.target sdocker-notice.service
# cloud-init has asked the instance metadata service already.
/usr/local/lib/sdocker/networks.sh </run/cloud-init/instance-data.json >/etc/sdocker/networks
/usr/local/lib/sdocker/daemon.sh
# The ECS-optimised image starts its agent beside Docker, as a container that a Docker host has no use for.
systemctl stop --no-block ecs 2>/dev/null
ln -sf /dev/null /etc/systemd/system/ecs.service
systemctl daemon-reload
systemctl start --no-block sdocker-lifetime.timer sdocker-idle.timer
((!spot)) || systemctl start --no-block sdocker-notice
# What the bootstrap and Docker need first is read meanwhile: the blocks of a new volume come from S3 as they are touched (EBS user
# guide). cloud-init waits until everyone has let go of its pipe.
{
    modprobe -aq nfs nfsv4 fuse overlay bridge br_netfilter ip_tables nf_nat xt_conntrack xt_MASQUERADE xt_addrtype
    cat /usr/bin/dockerd /usr/sbin/dockerd >/dev/null
} >/dev/null 2>&1 </dev/null &
facts=$(cat /run/cloud-init/instance-data.json)
if [[ -n $instance_id && $facts =~ \"instance-type\":\ *\"([a-z0-9.-]+)\" ]]; then
    printf 'instance=%q\n' "${BASH_REMATCH[1]}_$instance_id" >/etc/sdocker/identity
fi
# The image's own start of its daemon is not waited for: the bootstrap starts it, with our command line.
[[ $engine != native ]] || systemctl stop --no-block docker.socket docker.service
echo "instance $instance_id" >/etc/sdocker/installed
systemctl start --no-block sdocker-bootstrap.service
