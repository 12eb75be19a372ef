#!/bin/sh
# First program of the lab's Dom0: brings up what Xen's tools need, then becomes
# the agent. What fails here is read on the Xen console.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux
exec </dev/console >/dev/console 2>&1

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ip link set lo up
hostname dom0

while read -r module; do
	insmod "/lib/modules/$module" || echo "lab: cannot load $module"
done </lib/modules/load

mount -t xenfs xenfs /proc/xen
sh -e /etc/mount-share || echo "lab: cannot mount the host's share"

xenstored || echo "lab: no xenstored"
tries=0
until xenstore-exists /tool 2>/dev/null || [ $((tries += 1)) -gt 100 ]; do
	sleep 0.1
done
xen-init-dom0 || echo "lab: xen-init-dom0 failed"
xenconsoled --log=guest --log-dir=/share/console || echo "lab: no xenconsoled"

exec agent /dev/ttyS1 /share
