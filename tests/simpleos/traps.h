/* Exceptions. */
#ifndef TRAPS_H
#define TRAPS_H

#include <stdint.h>

/* Stack as trap_entry in entry.S leaves it. */
struct registers {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t error_code, rip, cs, rflags, rsp, ss;
};

#define GUARDED_CALL_ABANDONED (-1000)

#define PAGE_FAULT_VECTOR 14

/* Calls a function that may be given up by the page-fault handler; see entry.S. */
long guarded_call(long (*function)(void));

/* Makes the return from this trap end the guarded call under way; crashes where there is none. */
void abandon_guarded_call(struct registers *registers, uint64_t address);

void page_fault(struct registers *registers);
void unexpected_trap(struct registers *registers, uint64_t vector);
/* Only a PV guest has it: Xen could not load what the guest's registers name. */
void failsafe(struct registers *registers);

#endif
