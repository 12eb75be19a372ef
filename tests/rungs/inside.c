/*
 * A kernel module that attacks the kernel which has loaded it, when an order is
 * written to /sys/module/inside/parameters/order. What came of the last order
 * is read there: `landed`, `dropped` or `refused`.
 *
 * write WAY ADDRESS BYTES   over memory, 8 bytes aligned and a multiple of 8
 * poke POKER ADDRESS BYTES  the same as the kernel does to its own code; POKER is
 *                           its text_poke(), which ends the writer if it fails
 * map ADDRESS SET CLEAR     bits of the page-table entry of an address
 * cr0 SET CLEAR, cr4 ...    bits of a control register
 * enter ADDRESS             system calls by way of this module to that address
 * leave ADDRESS             directly
 * trap VECTOR ADDRESS       handler of a PV guest's trap
 */
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/msr.h>
#include <asm/processor-flags.h>

/* What the kernel's own build would add in a file that it writes */
#define INCLUDE_VERMAGIC
#include <linux/vermagic.h>

#define MAX_BYTES 64
#define WORD_SIZE sizeof(u64)

#define ENTRY_WRITABLE 2UL
/* Accessed and dirty: the processor's */
#define ENTRY_IGNORED 0x60UL
#define ENTRY_FRAME 0x000ffffffffff000UL

/* Xen's public interface */
#define HYPERCALL_SET_TRAP_TABLE 0
#define HYPERCALL_MMU_UPDATE 1
#define HYPERCALL_UPDATE_VA_MAPPING 14
#define HYPERCALL_CALLBACK 30
#define INVALIDATE_PAGE 2
#define CALLBACK_REGISTER 0
#define CALLBACK_SYSCALL 2
#define CALLBACK_MASK_EVENTS 1
#define KERNEL_CS 0xe033
#define TRAP_MASKS_EVENTS 4
#define DOMID_SELF 0x7ff0

struct mmu_update_request {
	u64 address, value;
};

struct callback_request {
	u16 type, flags;
	u64 address;
};

struct trap_request {
	u8 vector, flags;
	u16 cs;
	u64 address;
};

static const char *outcome = "none";

static bool is_pv(void)
{
	u64 cs;

	asm("mov %%cs, %0" : "=r"(cs));
	return cs & 3;
}

/* As a PV guest does it, whatever the kernel has for it */
static long hypercall(u64 number, u64 a, u64 b, u64 c, u64 d)
{
	register u64 fourth asm("r10") = d;

	asm volatile("syscall"
		     : "+a"(number), "+D"(a), "+S"(b), "+d"(c), "+r"(fourth)
		     :
		     : "rcx", "r11", "memory");
	return number;
}

static int store(u64 address, const u8 *bytes, unsigned int size)
{
	for (; size; size -= WORD_SIZE, address += WORD_SIZE, bytes += WORD_SIZE)
		__put_kernel_nofault((void *)address, bytes, u64, fault);
	return 0;
fault:
	return -EFAULT;
}

/* An attacker's own mapping, of which the page's other ones know nothing */
static int write_alias(u64 address, const u8 *bytes, unsigned int size)
{
	struct page *page = address >= MODULES_VADDR ?
		vmalloc_to_page((void *)address) :
		pfn_to_page((address - __START_KERNEL_map + phys_base) >> PAGE_SHIFT);
	u8 *alias = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	int result;

	if (!alias)
		return -ENOMEM;
	result = store((u64)alias + offset_in_page(address), bytes, size);
	vunmap(alias);
	return result;
}

/* Tells what the register then has. */
#define CHANGE_REGISTER(name)                                                  \
	static u64 change_##name(u64 set, u64 clear)                           \
	{                                                                      \
		u64 value;                                                     \
                                                                               \
		asm volatile("mov %%" #name ", %0" : "=r"(value));             \
		value = (value | set) & ~clear;                                \
		asm volatile("mov %0, %%" #name : : "r"(value) : "memory");    \
		asm volatile("mov %%" #name ", %0" : "=r"(value));             \
		return value;                                                  \
	}

CHANGE_REGISTER(cr0)
CHANGE_REGISTER(cr4)

static int write_unprotected(u64 address, const u8 *bytes, unsigned int size)
{
	unsigned long flags;
	int result;

	if (is_pv())
		return -ENODEV;
	local_irq_save(flags);
	change_cr0(0, X86_CR0_WP);
	result = store(address, bytes, size);
	change_cr0(X86_CR0_WP, 0);
	local_irq_restore(flags);
	return result;
}

static u64 *entry_of(u64 address)
{
	unsigned int level;

	return (u64 *)lookup_address(address, &level);
}

static int change_entry(u64 address, u64 entry)
{
	u64 *place = entry_of(address);

	if (!place)
		return -ENOENT;
	if (is_pv())
		return hypercall(HYPERCALL_UPDATE_VA_MAPPING, address, entry,
				 INVALIDATE_PAGE, 0);
	WRITE_ONCE(*place, entry);
	asm volatile("invlpg (%0)" : : "r"(address) : "memory");
	return 0;
}

/* Leaves the entry as it was, so that only the write can be seen */
static int write_remapped(u64 address, const u8 *bytes, unsigned int size)
{
	u64 *place = entry_of(address);
	u64 before = place ? READ_ONCE(*place) : 0;
	int result = change_entry(address, before | ENTRY_WRITABLE);

	if (result)
		return result;
	result = store(address, bytes, size);
	change_entry(address, before);
	return result;
}

/* Xen writes for a PV guest, whatever the guest's mappings allow */
static int write_by_xen(u64 address, const u8 *bytes, unsigned int size)
{
	u64 *place = entry_of(address);
	struct mmu_update_request request;
	int result = 0;

	if (!is_pv() || !place)
		return -ENODEV;
	for (unsigned int at = 0; at < size && !result; at += WORD_SIZE) {
		request.address = (*place & ENTRY_FRAME) + offset_in_page(address + at);
		memcpy(&request.value, bytes + at, WORD_SIZE);
		result = hypercall(HYPERCALL_MMU_UPDATE, (u64)&request, 1, 0,
				   DOMID_SELF);
	}
	return result;
}

static const struct {
	const char *name;
	int (*write)(u64 address, const u8 *bytes, unsigned int size);
} ways[] = {
	{ "alias", write_alias },
	{ "unprotected", write_unprotected },
	{ "remapped", write_remapped },
	{ "hypercall", write_by_xen },
};

static void conclude(long result, bool is_there)
{
	outcome = is_there ? "landed" : result ? "refused" : "dropped";
}

static int order_write(const char *text)
{
	char way[16], digits[2 * MAX_BYTES + 1];
	u8 bytes[MAX_BYTES];
	u64 address;
	unsigned int size;

	if (sscanf(text, "%15s %llx %128s", way, &address, digits) != 3)
		return -EINVAL;
	size = strlen(digits) / 2;
	if (address % WORD_SIZE || size % WORD_SIZE || hex2bin(bytes, digits, size))
		return -EINVAL;
	for (unsigned int i = 0; i < ARRAY_SIZE(ways); i++) {
		int result;

		if (strcmp(way, ways[i].name))
			continue;
		result = ways[i].write(address, bytes, size);
		conclude(result, !memcmp((void *)address, bytes, size));
		return 0;
	}
	return -EINVAL;
}

static int order_poke(const char *text)
{
	char digits[2 * MAX_BYTES + 1];
	u8 bytes[MAX_BYTES];
	u64 poker, address;
	size_t size;

	if (sscanf(text, "%llx %llx %128s", &poker, &address, digits) != 3)
		return -EINVAL;
	size = strlen(digits) / 2;
	if (hex2bin(bytes, digits, size))
		return -EINVAL;
	((void *(*)(void *, const void *, size_t))poker)((void *)address, bytes, size);
	conclude(0, !memcmp((void *)address, bytes, size));
	return 0;
}

static int order_map(const char *text)
{
	u64 address, set, clear, entry, *place;
	long result;

	if (sscanf(text, "%llx %llx %llx", &address, &set, &clear) != 3)
		return -EINVAL;
	place = entry_of(address);
	if (!place)
		return -ENOENT;
	entry = (READ_ONCE(*place) | set) & ~clear;
	result = change_entry(address, entry);
	conclude(result, !((READ_ONCE(*place) ^ entry) & ~ENTRY_IGNORED));
	return 0;
}

static int order_register(const char *text, u64 (*change)(u64 set, u64 clear))
{
	u64 set, clear, value;

	if (sscanf(text, "%llx %llx", &set, &clear) != 2)
		return -EINVAL;
	value = change(set, clear);
	conclude(0, (value & set) == set && !(value & clear));
	return 0;
}

static int order_cr0(const char *text)
{
	return order_register(text, change_cr0);
}

static int order_cr4(const char *text)
{
	return order_register(text, change_cr4);
}

/* Where system calls go on to: they must reach the kernel, or all would end */
u64 inside_next;
void inside_entry(void);
asm(".pushsection .text\n"
    "inside_entry:\n"
    "	jmp *inside_next(%rip)\n"
    ".popsection\n");

static void set_entry(u64 address)
{
	struct callback_request request = {
		.type = CALLBACK_SYSCALL,
		.flags = CALLBACK_MASK_EVENTS,
		.address = address,
	};
	u64 value;
	long result;

	if (is_pv()) {
		result = hypercall(HYPERCALL_CALLBACK, CALLBACK_REGISTER,
				   (u64)&request, 0, 0);
		conclude(result, !result);
		return;
	}
	asm volatile("wrmsr" : : "c"(MSR_LSTAR), "a"((u32)address),
		     "d"((u32)(address >> 32)) : "memory");
	asm volatile("rdmsr\n\tshl $32, %%rdx\n\tor %%rdx, %%rax"
		     : "=a"(value) : "c"(MSR_LSTAR) : "rdx");
	conclude(0, value == address);
}

static int order_enter(const char *text)
{
	if (sscanf(text, "%llx", &inside_next) != 1)
		return -EINVAL;
	set_entry((u64)inside_entry);
	return 0;
}

static int order_leave(const char *text)
{
	u64 address;

	if (sscanf(text, "%llx", &address) != 1)
		return -EINVAL;
	set_entry(address);
	return 0;
}

static int order_trap(const char *text)
{
	struct trap_request requests[2] = {
		{ .flags = TRAP_MASKS_EVENTS, .cs = KERNEL_CS },
	};
	unsigned int vector;
	long result;

	if (sscanf(text, "%x %llx", &vector, &requests[0].address) != 2)
		return -EINVAL;
	requests[0].vector = vector;
	result = hypercall(HYPERCALL_SET_TRAP_TABLE, (u64)requests, 0, 0, 0);
	conclude(result, !result);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const char *text);
} orders[] = {
	{ "write ", order_write },
	{ "poke ", order_poke },
	{ "map ", order_map },
	{ "cr0 ", order_cr0 },
	{ "cr4 ", order_cr4 },
	{ "enter ", order_enter },
	{ "leave ", order_leave },
	{ "trap ", order_trap },
};

static int order_set(const char *text, const struct kernel_param *parameter)
{
	outcome = "none";
	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++) {
		size_t length = strlen(orders[i].name);

		if (!strncmp(text, orders[i].name, length))
			return orders[i].run(text + length);
	}
	return -EINVAL;
}

static int order_get(char *text, const struct kernel_param *parameter)
{
	return scnprintf(text, PAGE_SIZE, "%s\n", outcome);
}

static const struct kernel_param_ops order_operations = {
	.set = order_set,
	.get = order_get,
};

module_param_cb(order, &order_operations, NULL, 0600);
MODULE_LICENSE("GPL");
MODULE_INFO(vermagic, VERMAGIC_STRING);
MODULE_INFO(name, KBUILD_MODNAME);

struct module __this_module __section(".gnu.linkonce.this_module") = {
	.name = KBUILD_MODNAME,
	.arch = MODULE_ARCH_INIT,
};
