#include "traps.h"

#include <stdbool.h>
#include <stddef.h>

#include "console.h"
#include "fault_channel.h"
#include "hypercall.h"
#include "mm.h"
#include "panic.h"

extern char guarded_call_end[];
extern char divide_error_entry[], debug_entry[], breakpoint_entry[], overflow_entry[],
    bounds_entry[], invalid_opcode_entry[], no_device_entry[], invalid_tss_entry[],
    no_segment_entry[], stack_error_entry[], general_protection_entry[], page_fault_entry[],
    fpu_error_entry[], alignment_check_entry[], simd_error_entry[];

#define TRAP(number, entry)                                                   \
    {                                                                         \
        .vector = number, .flags = TRAP_DISABLES_EVENTS, .cs = FLAT_KERNEL_CS, \
        .address = (unsigned long)(entry),                                    \
    }

const struct trap_info trap_table[] = {
    TRAP(0, divide_error_entry),
    TRAP(1, debug_entry),
    TRAP(3, breakpoint_entry),
    TRAP(4, overflow_entry),
    TRAP(5, bounds_entry),
    TRAP(6, invalid_opcode_entry),
    TRAP(7, no_device_entry),
    TRAP(10, invalid_tss_entry),
    TRAP(11, no_segment_entry),
    TRAP(12, stack_error_entry),
    TRAP(13, general_protection_entry),
    TRAP(PAGE_FAULT_VECTOR, page_fault_entry),
    TRAP(16, fpu_error_entry),
    TRAP(17, alignment_check_entry),
    TRAP(19, simd_error_entry),
    {.address = 0},
};

/* Stack pointer within guarded_call, 0 outside of it; kept by entry.S. */
uint64_t guarded_stack;

void traps_init(void)
{
    if (hypercall_set_trap_table(trap_table))
        panic("trap table refused");
}

static void print_registers(const struct registers *registers)
{
    print("rip %lx rsp %lx rflags %lx error %lx", registers->rip, registers->rsp,
          registers->rflags, registers->error_code);
    print("rax %lx rbx %lx rcx %lx rdx %lx", registers->rax, registers->rbx, registers->rcx,
          registers->rdx);
    print("rsi %lx rdi %lx rbp %lx r8 %lx", registers->rsi, registers->rdi, registers->rbp,
          registers->r8);
    print("r9 %lx r10 %lx r11 %lx r12 %lx", registers->r9, registers->r10, registers->r11,
          registers->r12);
    print("r13 %lx r14 %lx r15 %lx", registers->r13, registers->r14, registers->r15);
}

void unexpected_trap(struct registers *registers, uint64_t vector)
{
    print_registers(registers);
    panic("unexpected trap %lu at %lx", vector, registers->rip);
}

void abandon_guarded_call(struct registers *registers, uint64_t address)
{
    if (!guarded_stack) {
        print_registers(registers);
        panic("page fault on %lx at %lx", address, registers->rip);
    }
    registers->rsp = guarded_stack;
    registers->rip = (uint64_t)guarded_call_end;
    registers->rax = (uint64_t)GUARDED_CALL_ABANDONED;
}

void page_fault(struct registers *registers)
{
    static bool reporting;
    const uint64_t address = shared_info.vcpu_info[0].arch.cr2;

    if (reporting)
        panic("page fault on %lx at %lx while reporting one", address, registers->rip);
    reporting = true;
    fault_channel_report(address, registers->rip, (uint32_t)registers->error_code);
    fault_channel_wait();
    reporting = false;

    print("page fault on %lx at %lx, error %lx", address, registers->rip, registers->error_code);
    abandon_guarded_call(registers, address);
}
