#include "traps.h"

#include <stdbool.h>

#include "console.h"
#include "fault_channel.h"
#include "panic.h"
#include "platform.h"

extern char guarded_call_end[];

/* Stack pointer within guarded_call, 0 outside of it; kept by entry.S. */
uint64_t guarded_stack;

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
    const uint64_t address = platform->fault_address();

    if (reporting)
        panic("page fault on %lx at %lx while reporting one", address, registers->rip);
    reporting = true;
    fault_channel_report(address, registers->rip, (uint32_t)registers->error_code);
    fault_channel_wait();
    reporting = false;

    print("page fault on %lx at %lx, error %lx", address, registers->rip, registers->error_code);
    abandon_guarded_call(registers, address);
}
