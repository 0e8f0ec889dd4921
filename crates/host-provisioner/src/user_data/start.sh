# The first thing is the end: the host ends itself after its maximum lifetime, whatever else fails. The second is the idle watch.
install -d -m 700 /etc/sdocker /run/sdocker /var/lib/sdocker
[[ -e /etc/sdocker/expires ]] || echo $(($(date +%s) + max_lifetime)) >/etc/sdocker/expires
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
unit sdocker-idle.service <<'END'
[Service]
Type=oneshot
ExecStart=/usr/local/lib/sdocker/life.sh watch
END
unit sdocker-idle.timer <<END
[Timer]
OnActiveSec=$watch_period
OnUnitActiveSec=$watch_period
AccuracySec=1
[Install]
WantedBy=timers.target
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
systemctl daemon-reload
systemctl enable --now --no-block sdocker-lifetime.timer sdocker-idle.timer
# What the bootstrap needs first is read meanwhile: the blocks of a new volume come from S3 as they are touched (EBS user guide).
{ modprobe -aq nfs nfsv4; cat /usr/bin/dockerd /usr/sbin/dockerd >/dev/null; } 2>/dev/null &
if [[ $engine == native ]]; then
    # The image's own start of its daemon is not waited for: the bootstrap starts it, with our command line.
    /usr/local/lib/sdocker/native.sh
    systemctl stop --no-block docker.socket docker.service
fi
# Reads the units anew, too.
systemctl enable sdocker-bootstrap.service
systemctl start --no-block sdocker-bootstrap.service
touch /etc/sdocker/installed
