/* First instructions of a PV guest, entry points of traps and events, and the hypercall page. */
#define __ASSEMBLY__ /* for the headers of Xen */
#include <xen/xen.h>

#include "assembly.h"
#include "layout.h"

    .section .hypercall_page, "ax", @progbits
    .globl hypercall_page
    .type hypercall_page, @object
    .size hypercall_page, PAGE_SIZE
    .balign PAGE_SIZE
hypercall_page:
    .skip PAGE_SIZE, 0x90

    bss_object boot_stack, BOOT_STACK_SIZE
    /* Addresses at which pages of Xen's own are mapped; the memory behind them stays unused. */
    bss_object shared_info, PAGE_SIZE
    bss_object grant_table, PAGE_SIZE

    .section .text.entry, "ax", @progbits

/* %rsi: start info, at its address in the domain builder's mapping. */
function start
    cld
    mov $boot_stack + BOOT_STACK_SIZE, %rsp
    xor %ebp, %ebp
    mov %rsi, %rdi
    call pv_main
    ud2
end_function start

/*
 * Xen enters a PV guest on the current stack with %rcx and %r11 on top of an ordinary exception
 * frame. The processor enters a PVH guest by its IDT, with nothing but that frame, and behind
 * these two instructions. The rest makes it a struct registers.
 */
.macro trap_entry entry:req, handler:req, vector=0, has_error_code=0
    .balign 16
function \entry
    pop %rcx
    pop %r11
function native_\entry
    .if !\has_error_code
    push $0
    .endif
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    mov $\vector, %esi
    call \handler
    jmp trap_return
end_function native_\entry
end_function \entry
.endm

function trap_return
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    /* A frame with a code segment of our own was made by the processor. */
    cmpw $KERNEL_CS, 16(%rsp)
    je 1f
    /* The place of the error code becomes the flags of the hypercall, by which Xen also
       restores the event mask from the saved IF. */
    movq $0, (%rsp)
    jmp hypercall_page + __HYPERVISOR_iret * 32
1:  add $8, %rsp
    iretq
end_function trap_return

    trap_entry event_entry, event_upcall
    trap_entry failsafe_entry, failsafe

    trap_entry divide_error_entry, unexpected_trap, 0
    trap_entry debug_entry, unexpected_trap, 1
    trap_entry breakpoint_entry, unexpected_trap, 3
    trap_entry overflow_entry, unexpected_trap, 4
    trap_entry bounds_entry, unexpected_trap, 5
    trap_entry invalid_opcode_entry, unexpected_trap, 6
    trap_entry no_device_entry, unexpected_trap, 7
    trap_entry invalid_tss_entry, unexpected_trap, 10, 1
    trap_entry no_segment_entry, unexpected_trap, 11, 1
    trap_entry stack_error_entry, unexpected_trap, 12, 1
    trap_entry general_protection_entry, unexpected_trap, 13, 1
    trap_entry page_fault_entry, page_fault, 14, 1
    trap_entry fpu_error_entry, unexpected_trap, 16
    trap_entry alignment_check_entry, unexpected_trap, 17, 1
    trap_entry simd_error_entry, unexpected_trap, 19

    /* Not in trap_table and idt_table: mute_attack puts it there. */
    trap_entry mute_fault_entry, mute_fault, 14, 1

/*
 * long guarded_call(long (*function)(void)): result of the function, or GUARDED_CALL_ABANDONED
 * where the page-fault handler gave it up (as an oops ends the task that caused it).
 */
function guarded_call
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, guarded_stack
    call *%rdi
guarded_call_end:
    .globl guarded_call_end
    movq $0, guarded_stack
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
end_function guarded_call

    .section .note.GNU-stack, "", @progbits
