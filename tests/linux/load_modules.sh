#!/bin/sh
# First program of a guest that loads all modules it has, tells which came up,
# and is idle from then on.
export PATH=/usr/bin
mount -t proc proc /proc
dmesg -n 1
while read -r names; do
	for name in $names; do
		insmod "/lib/modules/$name.ko" 2>/dev/null
	done
done </lib/modules/groups
mkdir /report
cd /report
cat /proc/modules >modules
echo "report begins"
tar -cz * | base64
echo "report ends"
echo guest ready
while :; do sleep 3600; done
