/* Exceptions. */
#ifndef TRAPS_H
#define TRAPS_H

#include <stdint.h>
#include <xen/xen.h>

/* Stack as trap_entry in entry.S leaves it. */
struct registers {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t error_code, rip, cs, rflags, rsp, ss;
};

#define GUARDED_CALL_ABANDONED (-1000)

/* Handlers start with events disabled, so that nothing runs before they have reported. */
#define TRAP_DISABLES_EVENTS 4

#define PAGE_FAULT_VECTOR 14

extern const struct trap_info trap_table[];

void traps_init(void);

/* Calls a function that may be given up by the page-fault handler; see entry.S. */
long guarded_call(long (*function)(void));

/* Makes the return from this trap end the guarded call under way; crashes where there is none. */
void abandon_guarded_call(struct registers *registers, uint64_t address);

void page_fault(struct registers *registers);
void unexpected_trap(struct registers *registers, uint64_t vector);

#endif
