/* ELF notes: what the domain builder, and the monitor, want to know before the first instruction. */
#include <xen/elfnote.h>

#include "layout.h"

.macro xen_note type:req, directive:req, value:vararg
    .balign 4
    .long 2f - 1f, 4f - 3f, \type
1:  .asciz "Xen"
2:  .balign 4
3:  \directive \value
4:  .balign 4
.endm

    .section .note.xen, "a", @note
    xen_note XEN_ELFNOTE_GUEST_OS, .asciz, "SimpleOS"
    xen_note XEN_ELFNOTE_GUEST_VERSION, .asciz, "1.0"
    xen_note XEN_ELFNOTE_XEN_VERSION, .asciz, "xen-3.0"
    xen_note XEN_ELFNOTE_LOADER, .asciz, "generic"
    xen_note XEN_ELFNOTE_VIRT_BASE, .quad, VIRT_BASE
    xen_note XEN_ELFNOTE_PADDR_OFFSET, .quad, 0
    xen_note XEN_ELFNOTE_ENTRY, .quad, start
    xen_note XEN_ELFNOTE_HYPERCALL_PAGE, .quad, hypercall_page
    xen_note XEN_ELFNOTE_PHYS32_ENTRY, .quad, pvh_start - VIRT_BASE

    .section .note.GNU-stack, "", @progbits
