/* Macros of the assembler sources. */
#ifndef ASSEMBLY_H
#define ASSEMBLY_H

#include "layout.h"

.macro function name:req
    .globl \name
    .type \name, @function
\name:
.endm

.macro end_function name:req
    .size \name, . - \name
.endm

.macro bss_object name:req, size:req
    .section .bss.\name, "aw", @nobits
    .balign PAGE_SIZE
    .globl \name
    .type \name, @object
    .size \name, \size
\name:
    .skip \size
.endm

#endif
