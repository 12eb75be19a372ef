/* First instructions of a PVH guest, and its descriptor tables. */
#include "assembly.h"
#include "layout.h"

#define PHYSICAL(symbol) (symbol - VIRT_BASE)

#define ENTRY_PRESENT_WRITABLE 0x003
#define ENTRY_LARGE_PAGE 0x083
#define LARGE_PAGE_SIZE 0x200000
/* Of 4 GiB: Xen puts the rings of console and xenstore below their end. */
#define LARGE_PAGES 2048

#define CR0_WRITE_PROTECT_AND_PAGING 0x80010000
#define CR4_PHYSICAL_ADDRESS_EXTENSION 0x20
#define MSR_EFER 0xc0000080
#define EFER_LONG_MODE_AND_NO_EXECUTE 0x900

    /* The mapping that the kernel starts in: 4 GiB at 0, the first of them at VIRT_BASE, too. */
    bss_object boot_level4, PAGE_SIZE
    bss_object boot_level3, PAGE_SIZE
    bss_object boot_level2, (LARGE_PAGES * 8)

    .section .text.entry, "ax", @progbits

/* 32-bit mode, flat segments, no paging; %ebx: physical address of the start info. */
    .code32
function pvh_start
    cld
    mov $PHYSICAL(boot_level2), %edi
    mov $ENTRY_LARGE_PAGE, %eax
    mov $LARGE_PAGES, %ecx
1:  mov %eax, (%edi)
    add $LARGE_PAGE_SIZE, %eax
    add $8, %edi
    loop 1b

    mov $PHYSICAL(boot_level2) + ENTRY_PRESENT_WRITABLE, %eax
    mov $PHYSICAL(boot_level3), %edi
    mov %eax, 510 * 8(%edi)
    mov $4, %ecx
2:  mov %eax, (%edi)
    add $PAGE_SIZE, %eax
    add $8, %edi
    loop 2b

    mov $PHYSICAL(boot_level3) + ENTRY_PRESENT_WRITABLE, %eax
    mov $PHYSICAL(boot_level4), %edi
    mov %eax, (%edi)
    mov %eax, 511 * 8(%edi)
    mov %edi, %cr3

    mov %cr4, %eax
    or $CR4_PHYSICAL_ADDRESS_EXTENSION, %eax
    mov %eax, %cr4
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LONG_MODE_AND_NO_EXECUTE, %eax
    wrmsr
    mov %cr0, %eax
    or $CR0_WRITE_PROTECT_AND_PAGING, %eax
    mov %eax, %cr0
    lgdt PHYSICAL(gdt_pointer)
    ljmp $KERNEL_CS, $PHYSICAL(pvh_start_64)
end_function pvh_start

    .code64
function pvh_start_64
    /* Again, at the address that outlives this mapping. */
    lgdt gdt_pointer_64
    mov $KERNEL_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov %eax, %ss
    mov $boot_stack + BOOT_STACK_SIZE, %rsp
    xor %ebp, %ebp
    mov %ebx, %edi
    mov $pvh_main, %rax
    call *%rax
    ud2
end_function pvh_start_64

    .section .rodata.gdt, "a", @progbits
    .balign 8
/* Marked as accessed already, which the processor cannot do in a page that is read-only. */
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_end:
    .type gdt, @object
    .size gdt, gdt_end - gdt

gdt_pointer:
    .word gdt_end - gdt - 1
    .long PHYSICAL(gdt)
gdt_pointer_64:
    .word gdt_end - gdt - 1
    .quad gdt

    .section .idt, "a", @progbits
    .balign PAGE_SIZE
    .globl idt_table
    .type idt_table, @object
    .size idt_table, PAGE_SIZE

/* All that the linker can tell of an entry point is how far behind this it is, in 16 bits. */
#define IMAGE_BASE (VIRT_BASE + IMAGE_OFFSET)

.macro gate vector:req, entry:req
    .org \vector * 16
    .word \entry - IMAGE_BASE
    .word KERNEL_CS
    .word 0x8e00 /* interrupt gate, for the kernel alone */
    .word IMAGE_BASE >> 16 & 0xffff
    .long IMAGE_BASE >> 32 & 0xffffffff
    .long 0
.endm

idt_table:
    gate 0, native_divide_error_entry
    gate 1, native_debug_entry
    gate 3, native_breakpoint_entry
    gate 4, native_overflow_entry
    gate 5, native_bounds_entry
    gate 6, native_invalid_opcode_entry
    gate 7, native_no_device_entry
    gate 10, native_invalid_tss_entry
    gate 11, native_no_segment_entry
    gate 12, native_stack_error_entry
    gate 13, native_general_protection_entry
    gate 14, native_page_fault_entry
    gate 16, native_fpu_error_entry
    gate 17, native_alignment_check_entry
    gate 19, native_simd_error_entry
    gate EVENT_VECTOR, native_event_entry
    .org PAGE_SIZE

    .section .note.GNU-stack, "", @progbits
