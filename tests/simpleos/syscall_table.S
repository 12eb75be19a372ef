/* sys_call_table, in a page of its own; every slot is a symbol, too. */
#include "layout.h"

#define SYSTEM_CALL(slot, function) \
    .globl slot; \
    .type slot, @object; \
    .size slot, 8; \
slot: \
    .quad function;

    .section .invariant.sys_call_table, "aw", @progbits
    .balign PAGE_SIZE
    .globl sys_call_table
    .type sys_call_table, @object
sys_call_table:
#include "syscalls.list"
    .size sys_call_table, . - sys_call_table

    .section .note.GNU-stack, "", @progbits
