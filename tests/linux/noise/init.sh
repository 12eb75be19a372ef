#!/bin/sh
# First program of a guest that makes noise. It takes commands from its console:
#
#   begin KIND...  starts kinds of noise, see noise.sh, and tells of their counts
#   end            ends them, tells of all counts and errors
export PATH=/usr/bin HOME=/ TERM=linux
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
# Nothing may come between the lines that are told, unless the kernel dies.
dmesg -n 2
stty -echo
mkdir -p /run/noise/errors /tmp
cd /run/noise

tell() {
	echo "noise counts $(grep -Hs '^[0-9]' *.* | tr ':\n' '= ')"
}

tell_now_and_then() {
	until [ -e end ]; do
		tell
		sleep 5
	done
}

echo guest ready
while read -r command kinds; do
	case $command in
	begin)
		rm -f end
		for kind in $kinds; do
			noise "$kind" </dev/null >"$kind-said" 2>&1 &
		done
		tell_now_and_then &
		echo noise begins
		;;
	end)
		: >end
		while pgrep -l noise; do
			sleep 3
		done
		tell
		# Lines with a name before them
		grep -Hs . errors/* *-said | sed 's/^/noise error /'
		dmesg | grep -E 'BUG:|WARNING:|Oops|ftrace-bug|rcu.*stall' |
			sed 's/^/noise kernel /'
		echo noise ends
		;;
	esac
done
