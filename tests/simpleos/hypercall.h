/* Hypercalls through the page that Xen filled in; not every one is there for each type of guest. */
#ifndef HYPERCALL_H
#define HYPERCALL_H

#include <stdint.h>
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/hvm/hvm_op.h>

/* Returns what Xen returns: 0 or a count, or a negated errno of xen/errno.h. */
static inline __attribute__((always_inline)) long
hypercall(unsigned number, uint64_t first, uint64_t second, uint64_t third, uint64_t fourth)
{
    long result;
    register uint64_t r10 asm("r10") = fourth;

    asm volatile("call hypercall_page + %c[offset]"
                 : "=a"(result), "+D"(first), "+S"(second), "+d"(third), "+r"(r10)
                 : [offset] "i"(number * 32)
                 : "memory", "rcx", "r8", "r9", "r11");
    return result;
}

static inline long hypercall_set_trap_table(const struct trap_info *table)
{
    return hypercall(__HYPERVISOR_set_trap_table, (uint64_t)table, 0, 0, 0);
}

static inline long hypercall_mmu_update(const struct mmu_update *updates, unsigned count)
{
    return hypercall(__HYPERVISOR_mmu_update, (uint64_t)updates, count, 0, DOMID_SELF);
}

static inline long hypercall_mmuext_op(const struct mmuext_op *operations, unsigned count)
{
    return hypercall(__HYPERVISOR_mmuext_op, (uint64_t)operations, count, 0, DOMID_SELF);
}

static inline long hypercall_update_va_mapping(uint64_t address, uint64_t entry)
{
    return hypercall(__HYPERVISOR_update_va_mapping, address, entry, UVMF_INVLPG, 0);
}

static inline long hypercall_callback_op(unsigned command, const void *argument)
{
    return hypercall(__HYPERVISOR_callback_op, command, (uint64_t)argument, 0, 0);
}

static inline long hypercall_memory_op(unsigned command, void *argument)
{
    return hypercall(__HYPERVISOR_memory_op, command, (uint64_t)argument, 0, 0);
}

static inline long hypercall_hvm_op(unsigned command, void *argument)
{
    return hypercall(__HYPERVISOR_hvm_op, command, (uint64_t)argument, 0, 0);
}

static inline long hypercall_event_channel_op(unsigned command, void *argument)
{
    return hypercall(__HYPERVISOR_event_channel_op, command, (uint64_t)argument, 0, 0);
}

static inline long hypercall_grant_table_op(unsigned command, void *argument, unsigned count)
{
    return hypercall(__HYPERVISOR_grant_table_op, command, (uint64_t)argument, count, 0);
}

static inline long hypercall_sched_op(unsigned command, const void *argument)
{
    return hypercall(__HYPERVISOR_sched_op, command, (uint64_t)argument, 0, 0);
}

static inline long hypercall_vcpu_op(unsigned command, unsigned vcpu, const void *argument)
{
    return hypercall(__HYPERVISOR_vcpu_op, command, vcpu, (uint64_t)argument, 0);
}

static inline long hypercall_set_timer_op(uint64_t system_time)
{
    return hypercall(__HYPERVISOR_set_timer_op, system_time, 0, 0, 0);
}

#endif
