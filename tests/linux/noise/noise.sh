#!/bin/sh
# noise KIND
#
# Makes a running kernel change its own code, in one of the ways that are its
# administrator's good right, until there is a file `end`. What happened is
# counted in files KIND.WHAT; errors, of which a kernel under such noise makes
# some, in KIND.WHAT_errors, and the last one's message is errors/KIND.WHAT.
kind=$1
run=/run/noise
tracing=/sys/kernel/tracing

running() {
	[ ! -e $run/end ]
}

# For up to two seconds.
hold() {
	usleep $((RANDOM % 1800 * 1000 + 200000))
}

uptime_seconds() {
	cut -d. -f1 /proc/uptime
}

# count WHAT
count() {
	eval "n=\$((\${count_$1:-0} + 1)); count_$1=\$n"
	echo "$n" >"$run/$kind.$1"
}

# try WHAT COMMAND...
try() {
	what=$1
	shift
	if "$@" 2>"$run/$kind-message"; then
		count "$what"
	else
		read -r message <"$run/$kind-message"
		echo "$*: $message" >"$run/errors/$kind.$what"
		count "${what}_errors"
		return 1
	fi
}

put() {
	echo "$1" >"$2"
}

add() {
	echo "$1" >>"$2"
}

# Modules come with those that they need, one line each in `groups`.
modules() {
	dd if=/dev/zero of=/tmp/disk bs=64k count=32 2>/dev/null
	while running; do
		while read -r group; do
			running || break
			loaded=
			for module in $group; do
				try loads insmod "/lib/modules/$module.ko" || break
				loaded="$module $loaded"
			done
			case $loaded in
			dummy*) try used ip link set dummy0 up ;;
			loop*) try used losetup /dev/loop0 /tmp/disk && losetup -d /dev/loop0 ;;
			esac
			hold
			for module in $loaded; do
				# It may still be in use for a moment.
				rmmod "$module" 2>/dev/null && count unloads && continue
				sleep 1
				try unloads rmmod "$module"
			done
		done </lib/modules/groups
	done
}

# trace WHAT TRACER: for a while, in the current directory
trace() {
	try "$1" put "$2" current_tracer || return
	hold
	put nop current_tracer
}

# Without kernel.ftrace_enabled: while that is off, probes are freed that are
# still in the kernel's table, and it dies.
ftrace() {
	cd $tracing || return
	while running; do
		for filter in 'vfs_*' 'tcp_*' '*mutex*' 'do_*'; do
			running || break
			put "$filter" set_ftrace_filter
			trace function function
			trace graph function_graph
			for tracer in irqsoff preemptoff preemptirqsoff wakeup; do
				grep -qw $tracer available_tracers && trace $tracer $tracer
			done
		done
		put '' set_ftrace_filter
		try command put 'vfs_read:traceon' set_ftrace_filter
		hold
		add '!vfs_read:traceon' set_ftrace_filter
	done
}

# All functions: a minute each time on a PV guest of an emulated machine, and
# nothing else can change code meanwhile.
ftrace_all() {
	cd $tracing/instances || return
	mkdir all
	while running; do
		start=$(uptime_seconds)
		cd all || return
		trace function function
		cd ..
		running || break
		try stack put 1 /proc/sys/kernel/stack_tracer_enabled
		hold
		put 0 /proc/sys/kernel/stack_tracer_enabled
		running || break
		if [ -e ../function_profile_enabled ]; then
			try profile put 1 ../function_profile_enabled
			hold
			put 0 ../function_profile_enabled
		fi
		# All else is slow under it, and gets as much time without it
		end=$((2 * $(uptime_seconds) - start))
		while running && [ "$(uptime_seconds)" -lt $end ]; do
			sleep 1
		done
	done
	rmdir all
}

# Tracers of their own, so that several have a say in one function.
instances() {
	cd $tracing/instances || return
	while running; do
		for filter in 'tcp_*' 'vfs_*' '*lock*' 'schedule'; do
			running || break
			try made mkdir noise || continue
			put "$filter" noise/set_ftrace_filter
			cd noise || return
			trace traced function
			cd ..
			try removed rmdir noise
		done
	done
}

# probe WHAT DEFINITION [FILE]
probe() {
	try "$1" add "$2" "${3-kprobe_events}"
}

kprobes() {
	cd $tracing || return
	# Where instructions begin is not known: the kernel refuses other places.
	middles=
	for at in $(seq 6 60); do
		add "p:seek do_sys_openat2+$at" kprobe_events 2>/dev/null || continue
		middles="$middles $at"
		put '' kprobe_events
		[ ${#middles} -gt 9 ] && break
	done
	while running; do
		probe entry 'p:noise/entry vfs_read'
		probe return 'r:noise/return vfs_write'
		for at in $middles; do
			probe middle "p:noise/middle$at do_sys_openat2+$at"
			probe shared "p:noise/shared$at do_sys_openat2+$at"
		done
		if grep -q ' f\[' README; then
			probe fprobe 'f:noise/fprobe vfs_open' dynamic_events
			probe fprobe_return 'f:noise/fprobe_return vfs_open%return' \
				dynamic_events
		fi
		for round in 1 2 3; do
			running || break
			try enabled put 1 events/noise/enable
			hold
			case $round in
			1)
				try all_off put 0 /sys/kernel/debug/kprobes/enabled
				hold
				put 1 /sys/kernel/debug/kprobes/enabled
				;;
			2)
				try optimization put 0 /proc/sys/debug/kprobes-optimization
				hold
				put 1 /proc/sys/debug/kprobes-optimization
				;;
			esac
			# It takes a moment until breakpoints become jumps.
			hold
			try disabled put 0 events/noise/enable
		done
		# One of them may still be in use for a moment.
		until try removed put '' dynamic_events || ! running; do
			sleep 1
		done
	done
}

# Events of an instance, so that the kinds of noise leave each other alone.
tracepoints() {
	mkdir $tracing/instances/events
	cd $tracing/instances/events/events || return
	while running; do
		for group in sched syscalls kmem irq timer raw_syscalls workqueue \
			block skb net tcp sock signal task writeback rcu power \
			exceptions percpu printk xen irq_vectors; do
			running || break
			[ -e $group/enable ] || continue
			try groups put 1 $group/enable
			hold
			put 0 $group/enable
		done
		try all put 1 enable
		hold
		put 0 enable
	done
}

bpf() {
	while running; do
		for way in classic socket seccomp kprobe kretprobe middle tracepoint \
			raw_tracepoint fentry fexit modify_return lsm xdp cgroup \
			tail_call test_run software; do
			running || break
			try $way noise-bpf $way $((RANDOM % 1500 + 200))
		done
	done
}

# Settings that static keys and static calls stand for: file and values.
settings() {
	cat <<-END
		/proc/sys/kernel/sched_schedstats 1 0
		/proc/sys/kernel/task_delayacct 1 0
		/proc/sys/kernel/timer_migration 0 1
		/proc/sys/kernel/numa_balancing 1 0
		/proc/sys/kernel/bpf_stats_enabled 1 0
		/proc/sys/vm/numa_stat 0 1
		/proc/sys/net/core/rps_sock_flow_entries 256 0
		/proc/sys/net/core/busy_poll 50 0
		/proc/sys/net/core/busy_read 50 0
		/proc/sys/net/core/bpf_jit_harden 1 0
		/proc/sys/net/ipv4/ip_early_demux 0 1
		/proc/sys/net/ipv4/tcp_timestamps 0 1
		/sys/kernel/mm/ksm/run 1 2 0
		/sys/kernel/mm/transparent_hugepage/enabled never madvise always
		/sys/module/zswap/parameters/enabled Y N
		/sys/module/kfence/parameters/sample_interval 100 0
		/sys/kernel/debug/sched_features NO_WAKEUP_PREEMPTION WAKEUP_PREEMPTION
		/sys/kernel/debug/sched_features HRTICK NO_HRTICK
		/sys/kernel/debug/sched/features NO_WAKEUP_PREEMPTION WAKEUP_PREEMPTION
		/sys/kernel/debug/sched/features HRTICK NO_HRTICK
		/sys/kernel/debug/sched/preempt full none voluntary lazy
		/sys/kernel/debug/sched/verbose Y N
		/sys/devices/system/clocksource/clocksource0/current_clocksource tsc xen
	END
}

keys() {
	settings >/tmp/settings
	while running; do
		while read -r file values; do
			running || break
			[ -e "$file" ] || continue
			for value in $values; do
				try "${file##*/}" put "$value" "$file"
				usleep $((RANDOM % 500 * 1000))
			done
		done </tmp/settings
		control=/sys/kernel/debug/dynamic_debug/control
		try dynamic_debug put 'file net/ipv4/* +p' $control
		hold
		put 'file net/ipv4/* -p' $control
		group=/sys/fs/cgroup/noise
		put '+cpu +memory +pids' /sys/fs/cgroup/cgroup.subtree_control
		try cgroup mkdir $group && {
			put '50000 100000' $group/cpu.max
			hold
			put max $group/cpu.max
			rmdir $group
		}
	done
}

cpus() {
	cpu=/sys/devices/system/cpu/cpu1/online
	while running; do
		[ "$(cat $cpu)" = 0 ] || try offline put 0 $cpu
		hold
		try online put 1 $cpu
		hold
		hold
	done
}

# Ordinary work
load() {
	while running; do
		dd if=/dev/urandom of=/tmp/load bs=4k count=50 2>/dev/null
		gzip -c /tmp/load | gunzip -c | cmp - /tmp/load || count wrong
		for name in 1 2 3 4 5 6 7 8 9 10; do
			busybox true
			cp /tmp/load /tmp/load.$name
		done
		find /proc /sys/class -maxdepth 2 >/dev/null 2>&1
		rm /tmp/load.*
		ping -c 1 -q 127.0.0.1 >/dev/null
		count rounds
		usleep 200000
	done
}

$kind
