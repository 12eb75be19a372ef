/*
 * A PVH guest: the processor is its own, so page tables, descriptor tables and the flag that lets
 * interrupts in are as without Xen. Xen is asked for what it shares, and sends events as an
 * interrupt.
 */
#include <stdint.h>
#include <xen/errno.h>
#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/hvm/params.h>

#include "hypercall.h"
#include "mm.h"
#include "panic.h"
#include "platform.h"
#include "text.h"
#include "traps.h"

#define CR0_WRITE_PROTECT 0x10000ul
#define CPUID_LEAVES_STEP 0x100

struct gate {
    uint16_t offset_low, selector, attributes, offset_middle;
    uint32_t offset_high, reserved;
};

extern char hypercall_page[], _etext[], _data[], native_mute_fault_entry[];
extern struct gate idt_table[];

static struct boot_info boot_info;

/* Guest frames are page numbers. */
static uint64_t same_number(uint64_t number)
{
    return number;
}

static void *pvh_boot_address(uint64_t frame)
{
    return (void *)(frame << PAGE_SHIFT);
}

static bool is_between(uint64_t page_number, const char *start, const char *end)
{
    return page_number >= mm_page_number(start) && page_number < mm_page_number(end);
}

static uint64_t pvh_image_entry(uint64_t page_number)
{
    uint64_t permissions = is_between(page_number, hypercall_page, _etext) ? PAGE_READ_ONLY
                           : is_between(page_number, _etext, _data)
                               ? PAGE_READ_ONLY | PAGE_NO_EXECUTE
                               : PAGE_READ_WRITE | PAGE_NO_EXECUTE;

    return page_number << PAGE_SHIFT | permissions;
}

static uint64_t pvh_direct_entry(uint64_t page_number)
{
    return pvh_image_entry(page_number) | PAGE_NO_EXECUTE;
}

static void pvh_use_page_tables(uint64_t root_frame)
{
    const uint64_t frames[] = {boot_info.console_frame, boot_info.store_frame};

    /* They are not in the guest's memory proper. */
    for (unsigned i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
        mm_build_entry(mm_direct_address(frames[i]), pvh_direct_entry(frames[i]));
    asm volatile("mov %0, %%cr3" : : "r"(root_frame << PAGE_SHIFT) : "memory");
}

static long pvh_set_entry(uint64_t address, uint64_t *slot, uint64_t entry)
{
    if (!slot)
        return -XEN_EINVAL;
    *(volatile uint64_t *)slot = entry;
    asm volatile("invlpg (%0)" : : "r"(address) : "memory");
    return 0;
}

/* Has Xen put a page of its own into the place of one of the guest's. */
static void place_page(unsigned space, const volatile void *address)
{
    struct xen_add_to_physmap place = {
        .domid = DOMID_SELF,
        .space = space,
        .gpfn = mm_page_number(address),
    };

    if (hypercall_memory_op(XENMEM_add_to_physmap, &place))
        panic("page of space %lu refused", (uint64_t)space);
}

static void pvh_map_grant_table(void)
{
    place_page(XENMAPSPACE_grant_table, grant_table);
}

static void load_idt(const void *table)
{
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {PAGE_SIZE - 1, (uint64_t)table};

    asm volatile("lidt %0" : : "m"(pointer));
}

static void pvh_traps_init(void)
{
    load_idt(idt_table);
}

static uint64_t pvh_fault_address(void)
{
    uint64_t address;

    asm volatile("mov %%cr2, %0" : "=r"(address));
    return address;
}

static void pvh_events_init(void)
{
    struct xen_hvm_param callback = {
        .domid = DOMID_SELF,
        .index = HVM_PARAM_CALLBACK_IRQ,
        .value = (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | EVENT_VECTOR,
    };

    place_page(XENMAPSPACE_shared_info, &shared_info);
    if (hypercall_hvm_op(HVMOP_set_param, &callback))
        panic("event vector refused");
}

static void pvh_events_disable(void)
{
    asm volatile("cli" ::: "memory");
}

static void pvh_events_enable(void)
{
    asm volatile("sti" ::: "memory");
}

static void pvh_events_block(void)
{
    /* No interrupt comes between the two. */
    asm volatile("sti; hlt" ::: "memory");
}

/* Xen copies from frame to frame and never looks at the page tables. */
static long pvh_write_frame(const volatile void *address, uint64_t word)
{
    const uint64_t source = mm_frame_address(&word), target = mm_frame_address(address);
    struct gnttab_copy copy = {
        .source = {.domid = DOMID_SELF, .offset = source % PAGE_SIZE},
        .dest = {.domid = DOMID_SELF, .offset = target % PAGE_SIZE},
        .len = sizeof(word),
    };

    copy.source.u.gmfn = source >> PAGE_SHIFT;
    copy.dest.u.gmfn = target >> PAGE_SHIFT;
    return hypercall_grant_table_op(GNTTABOP_copy, &copy, 1) || copy.status != GNTST_okay;
}

static long pvh_replace_frame(const volatile void *address)
{
    xen_pfn_t frame = mm_page_number(address);
    struct xen_memory_reservation place = {.nr_extents = 1, .domid = DOMID_SELF};

    set_xen_guest_handle(place.extent_start, &frame);
    return hypercall_memory_op(XENMEM_decrease_reservation, &place) != 1 ||
           hypercall_memory_op(XENMEM_populate_physmap, &place) != 1;
}

static long pvh_move_frame(const volatile void *from, const volatile void *to)
{
    struct xen_add_to_physmap place = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_gmfn,
        .idx = (mm_entry(from) & PAGE_FRAME_MASK) >> PAGE_SHIFT,
        .gpfn = mm_page_number(to),
    };

    return hypercall_memory_op(XENMEM_add_to_physmap, &place);
}

static void pvh_set_write_protection(bool on)
{
    uint64_t cr0;

    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    cr0 = on ? cr0 | CR0_WRITE_PROTECT : cr0 & ~CR0_WRITE_PROTECT;
    asm volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
}

static void mute_gate(volatile struct gate *gate)
{
    const uint64_t entry = (uint64_t)native_mute_fault_entry;

    gate->offset_low = (uint16_t)entry;
    gate->offset_middle = (uint16_t)(entry >> 16);
}

static long pvh_mute_page_faults(void)
{
    long result = mm_set_entry(idt_table, mm_entry(idt_table) | PAGE_WRITABLE);

    if (!result)
        mute_gate(&idt_table[PAGE_FAULT_VECTOR]);
    return result;
}

static long pvh_move_page_faults(void)
{
    struct gate *copy = mm_allocate_page();

    memcpy(copy, idt_table, PAGE_SIZE);
    mute_gate(&copy[PAGE_FAULT_VECTOR]);
    load_idt(copy);
    return 0;
}

const struct platform pvh_platform = {
    .name = "PVH",
    .text_is_read_only = true,
    .frame_of_page = same_number,
    .page_of_frame = same_number,
    .boot_address = pvh_boot_address,
    .image_entry = pvh_image_entry,
    .direct_entry = pvh_direct_entry,
    .use_page_tables = pvh_use_page_tables,
    .set_entry = pvh_set_entry,
    .map_grant_table = pvh_map_grant_table,
    .traps_init = pvh_traps_init,
    .fault_address = pvh_fault_address,
    .events_init = pvh_events_init,
    .events_disable = pvh_events_disable,
    .events_enable = pvh_events_enable,
    .events_block = pvh_events_block,
    .write_frame = pvh_write_frame,
    .replace_frame = pvh_replace_frame,
    .move_frame = pvh_move_frame,
    .set_write_protection = pvh_set_write_protection,
    .mute_page_faults = pvh_mute_page_faults,
    .move_page_faults = pvh_move_page_faults,
};

static void read_cpuid(uint32_t leaf, uint32_t registers[4])
{
    asm volatile("cpuid"
                 : "=a"(registers[0]), "=b"(registers[1]), "=c"(registers[2]), "=d"(registers[3])
                 : "a"(leaf), "c"(0));
}

static bool is_xen_leaf(uint32_t leaf)
{
    uint32_t registers[4];

    read_cpuid(leaf, registers);
    return registers[1] == XEN_CPUID_SIGNATURE_EBX && registers[2] == XEN_CPUID_SIGNATURE_ECX &&
           registers[3] == XEN_CPUID_SIGNATURE_EDX;
}

static void fill_hypercall_page(void)
{
    const uint64_t page = mm_page_number(hypercall_page) << PAGE_SHIFT;
    uint32_t leaf = XEN_CPUID_FIRST_LEAF, registers[4];

    /* Xen's leaves are not the first ones where it also plays another hypervisor. */
    while (!is_xen_leaf(leaf))
        leaf += CPUID_LEAVES_STEP;
    /* Number of such pages and the register that takes the address of one. */
    read_cpuid(leaf + 2, registers);
    asm volatile("wrmsr"
                 :
                 : "c"(registers[1]), "a"((uint32_t)page), "d"((uint32_t)(page >> 32))
                 : "memory");
}

static uint64_t hvm_parameter(uint32_t index)
{
    struct xen_hvm_param parameter = {.domid = DOMID_SELF, .index = index};

    hypercall_hvm_op(HVMOP_get_param, &parameter);
    return parameter.value;
}

/* Pages of memory from 0 on; what lies above a hole is left unused. */
static uint64_t count_pages(const struct hvm_start_info *start_info)
{
    const struct hvm_memmap_table_entry *ranges = (void *)start_info->memmap_paddr;

    for (uint32_t i = 0; i < start_info->memmap_entries; i++)
        if (ranges[i].type == XEN_HVM_MEMMAP_TYPE_RAM && ranges[i].addr == 0)
            return ranges[i].size >> PAGE_SHIFT;
    return 0;
}

void pvh_main(const struct hvm_start_info *start_info);
void pvh_main(const struct hvm_start_info *start_info)
{
    fill_hypercall_page();
    boot_info = (struct boot_info){
        .page_count = count_pages(start_info),
        .console_frame = hvm_parameter(HVM_PARAM_CONSOLE_PFN),
        .store_frame = hvm_parameter(HVM_PARAM_STORE_PFN),
        .console_port = (uint32_t)hvm_parameter(HVM_PARAM_CONSOLE_EVTCHN),
        .store_port = (uint32_t)hvm_parameter(HVM_PARAM_STORE_EVTCHN),
    };
    kernel_main(&pvh_platform, &boot_info);
}
