/*
 * A PV guest: page-table entries hold machine frames and Xen checks every change of them, traps
 * and events come from Xen, and a byte shared with Xen says whether events are let in.
 */
#include <stddef.h>
#include <xen/errno.h>

#include "barrier.h"
#include "hypercall.h"
#include "mm.h"
#include "panic.h"
#include "platform.h"
#include "traps.h"

extern char event_entry[], failsafe_entry[], mute_fault_entry[];
extern char divide_error_entry[], debug_entry[], breakpoint_entry[], overflow_entry[],
    bounds_entry[], invalid_opcode_entry[], no_device_entry[], invalid_tss_entry[],
    no_segment_entry[], stack_error_entry[], general_protection_entry[], page_fault_entry[],
    fpu_error_entry[], alignment_check_entry[], simd_error_entry[];
extern char __page_tables_start[], __page_tables_end[];

/* Handlers start with events disabled, so that nothing runs before they have reported. */
#define TRAP_DISABLES_EVENTS 4

#define TRAP(number, entry)                                                   \
    {                                                                         \
        .vector = number, .flags = TRAP_DISABLES_EVENTS, .cs = FLAT_KERNEL_CS, \
        .address = (unsigned long)(entry),                                    \
    }

extern const struct trap_info trap_table[];
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

static uint64_t shared_info_frame;
/* The page tables that the domain builder made; the first one is the root. */
static uint64_t first_builder_table, builder_tables_end;
static const uint64_t *machine_frames; /* by page number, given by the domain builder */

static uint64_t pv_frame_of_page(uint64_t page_number)
{
    return machine_frames[page_number];
}

static uint64_t pv_page_of_frame(uint64_t frame)
{
    return machine_to_phys_mapping[frame];
}

static void *pv_boot_address(uint64_t frame)
{
    return mm_image_address(pv_page_of_frame(frame));
}

static uint64_t pv_image_entry(uint64_t page_number)
{
    bool shared = page_number == mm_page_number(&shared_info);
    uint64_t frame = shared ? shared_info_frame : machine_frames[page_number];

    return frame << PAGE_SHIFT |
           (mm_is_page_table(page_number) ? PAGE_READ_ONLY : PAGE_READ_WRITE);
}

static bool is_builder_table(uint64_t page_number)
{
    return page_number >= first_builder_table && page_number < builder_tables_end;
}

static uint64_t pv_direct_entry(uint64_t page_number)
{
    bool read_only = mm_is_page_table(page_number) || is_builder_table(page_number);

    return machine_frames[page_number] << PAGE_SHIFT |
           (read_only ? PAGE_READ_ONLY : PAGE_READ_WRITE);
}

static void update_or_panic(uint64_t address, uint64_t entry)
{
    long result = hypercall_update_va_mapping(address, entry);

    if (result)
        panic("update_va_mapping of %lx to %lx failed: -%lu", address, entry, (uint64_t)-result);
}

static void page_table_operation(unsigned command, uint64_t frame)
{
    struct mmuext_op operation = {.cmd = command, .arg1.mfn = frame};
    long result = hypercall_mmuext_op(&operation, 1);

    if (result)
        panic("mmuext_op %lu failed: -%lu", (uint64_t)command, (uint64_t)-result);
}

/* Gives the builder's page tables back to ordinary use, too. */
static void pv_use_page_tables(uint64_t root_frame)
{
    /* Xen takes a page as a page table only if nothing maps it writable. */
    for (const char *table = __page_tables_start; table < __page_tables_end; table += PAGE_SIZE)
        update_or_panic((uint64_t)table,
                        machine_frames[mm_page_number(table)] << PAGE_SHIFT | PAGE_READ_ONLY);

    page_table_operation(MMUEXT_PIN_L4_TABLE, root_frame);
    page_table_operation(MMUEXT_NEW_BASEPTR, root_frame);
    /* The list of frames is not part of the image. */
    machine_frames = (void *)(DIRECT_MAP_BASE + ((uint64_t)machine_frames - VIRT_BASE));
    page_table_operation(MMUEXT_UNPIN_TABLE, machine_frames[first_builder_table]);

    for (uint64_t page = first_builder_table; page < builder_tables_end; page++) {
        const void *address = mm_direct_address(machine_frames[page]);

        update_or_panic((uint64_t)address, mm_entry(address) | PAGE_WRITABLE);
    }
}

static long pv_set_entry(uint64_t address, uint64_t *slot, uint64_t entry)
{
    (void)slot;
    return hypercall_update_va_mapping(address, entry);
}

static void pv_map_grant_table(void)
{
    xen_pfn_t frame = 0;
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1};

    set_xen_guest_handle(setup.frame_list, &frame);
    if (hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1) || setup.status != GNTST_okay)
        panic("grant table refused");
    if (mm_set_entry(grant_table, frame << PAGE_SHIFT | PAGE_READ_WRITE))
        panic("grant table cannot be mapped");
}

static void pv_traps_init(void)
{
    if (hypercall_set_trap_table(trap_table))
        panic("trap table refused");
}

static uint64_t pv_fault_address(void)
{
    return shared_info.vcpu_info[0].arch.cr2;
}

static void register_callback(uint16_t type, const char *entry)
{
    struct callback_register callback = {.type = type, .address = (uint64_t)entry};

    if (hypercall_callback_op(CALLBACKOP_register, &callback))
        panic("callback %lu refused", (uint64_t)type);
}

static void pv_events_init(void)
{
    register_callback(CALLBACKTYPE_event, event_entry);
    register_callback(CALLBACKTYPE_failsafe, failsafe_entry);
}

static void pv_events_disable(void)
{
    WRITE_ONCE(shared_info.vcpu_info[0].evtchn_upcall_mask, 1);
    memory_barrier();
}

static void pv_events_enable(void)
{
    memory_barrier();
    WRITE_ONCE(shared_info.vcpu_info[0].evtchn_upcall_mask, 0);
    memory_barrier();
    /* What came while events were disabled is delivered on the way out of any hypercall. */
    if (READ_ONCE(shared_info.vcpu_info[0].evtchn_upcall_pending))
        hypercall(__HYPERVISOR_xen_version, 0, 0, 0, 0);
}

static void pv_events_block(void)
{
    hypercall_sched_op(SCHEDOP_block, NULL);
}

/* Xen checks the type of the frame, not who maps it how. */
static long pv_write_frame(const volatile void *address, uint64_t word)
{
    struct mmu_update update = {
        .ptr = mm_frame_address(address) | MMU_NORMAL_PT_UPDATE,
        .val = word,
    };

    return hypercall_mmu_update(&update, 1);
}

/* To a PV kernel it is another frame: see data_attack_swap. */
static long pv_replace_frame(const volatile void *address)
{
    (void)address;
    return -XEN_EOPNOTSUPP;
}

static long pv_move_frame(const volatile void *from, const volatile void *to)
{
    (void)from;
    (void)to;
    return -XEN_EOPNOTSUPP;
}

/* A PV kernel has no say in it, and its pages are writable unless a monitor changes that. */
static void pv_set_write_protection(bool on)
{
    (void)on;
}

static long pv_mute_page_faults(void)
{
    const struct trap_info mute[] = {TRAP(PAGE_FAULT_VECTOR, mute_fault_entry), {.address = 0}};

    return hypercall_set_trap_table(mute);
}

static long pv_move_page_faults(void)
{
    return -XEN_EOPNOTSUPP;
}

const struct platform pv_platform = {
    .name = "PV",
    .text_is_read_only = false,
    .frame_of_page = pv_frame_of_page,
    .page_of_frame = pv_page_of_frame,
    .boot_address = pv_boot_address,
    .image_entry = pv_image_entry,
    .direct_entry = pv_direct_entry,
    .use_page_tables = pv_use_page_tables,
    .set_entry = pv_set_entry,
    .map_grant_table = pv_map_grant_table,
    .traps_init = pv_traps_init,
    .fault_address = pv_fault_address,
    .events_init = pv_events_init,
    .events_disable = pv_events_disable,
    .events_enable = pv_events_enable,
    .events_block = pv_events_block,
    .write_frame = pv_write_frame,
    .replace_frame = pv_replace_frame,
    .move_frame = pv_move_frame,
    .set_write_protection = pv_set_write_protection,
    .mute_page_faults = pv_mute_page_faults,
    .move_page_faults = pv_move_page_faults,
};

void failsafe(struct registers *registers)
{
    panic("failsafe callback at %lx", registers->rip);
}

void pv_main(const struct start_info *start_info);
void pv_main(const struct start_info *start_info)
{
    const struct boot_info boot_info = {
        .page_count = start_info->nr_pages,
        .console_frame = start_info->console.domU.mfn,
        .store_frame = start_info->store_mfn,
        .console_port = start_info->console.domU.evtchn,
        .store_port = start_info->store_evtchn,
    };

    machine_frames = (const uint64_t *)start_info->mfn_list;
    shared_info_frame = start_info->shared_info >> PAGE_SHIFT;
    first_builder_table = mm_page_number((void *)start_info->pt_base);
    builder_tables_end = first_builder_table + start_info->nr_pt_frames;
    kernel_main(&pv_platform, &boot_info);
}
