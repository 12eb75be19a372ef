/*
 * Prints every layout and number of xen/layouts.ts and xen/constants.ts as the
 * installed headers have them, as one JSON object.
 */
#define __XEN_TOOLS__ 1

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <string.h>

#include <xenctrl.h>
#include <xen/hvm/dm_op.h>
#include <xen/hvm/ioreq.h>
#include <xen/hvm/save.h>
#include <xen/memory.h>
#include <xentoollog.h>
#include <xen/io/xenbus.h>
#include <xen/sched.h>
#include <xen/vm_event.h>
#include <xen/version.h>

static const char *separator;

static void begin(const char *table)
{
	printf("%s\"%s\":{", separator, table);
	separator = "";
}

static void end(void)
{
	printf("}");
	separator = ",\n";
}

static void entry(const char *name, unsigned long value)
{
	printf("%s\n \"%s\":%lu", separator, name, value);
	separator = ",";
}

#define OFFSET(type, name) entry(#name, offsetof(type, name))
#define NUMBER(name) entry(#name, name)

/* The bits of byte 30 of a request that a field of it takes */
#define IOREQ_BITS(field, all)                                  \
	do {                                                    \
		ioreq_t request;                                \
		memset(&request, 0, sizeof(request));           \
		request.field = all;                            \
		entry(#field, ((unsigned char *)&request)[30]); \
	} while (0)

int main(void)
{
	separator = "";
	printf("{");

	begin("page");
	entry("size", XC_PAGE_SIZE);
	end();

	begin("domainInfo");
	entry("size", sizeof(xc_domaininfo_t));
	OFFSET(xc_domaininfo_t, domain);
	OFFSET(xc_domaininfo_t, flags);
	OFFSET(xc_domaininfo_t, tot_pages);
	OFFSET(xc_domaininfo_t, max_pages);
	OFFSET(xc_domaininfo_t, shared_info_frame);
	OFFSET(xc_domaininfo_t, cpu_time);
	OFFSET(xc_domaininfo_t, nr_online_vcpus);
	OFFSET(xc_domaininfo_t, max_vcpu_id);
	OFFSET(xc_domaininfo_t, handle);
	OFFSET(xc_domaininfo_t, cpupool);
	end();

	begin("domainFlags");
	entry("dying", XEN_DOMINF_dying);
	entry("hvm_guest", XEN_DOMINF_hvm_guest);
	entry("shutdown", XEN_DOMINF_shutdown);
	entry("paused", XEN_DOMINF_paused);
	entry("blocked", XEN_DOMINF_blocked);
	entry("running", XEN_DOMINF_running);
	entry("shutdownmask", XEN_DOMINF_shutdownmask);
	entry("shutdownshift", XEN_DOMINF_shutdownshift);
	end();

	begin("vcpuInfo");
	entry("size", sizeof(xc_vcpuinfo_t));
	OFFSET(xc_vcpuinfo_t, vcpu);
	OFFSET(xc_vcpuinfo_t, online);
	OFFSET(xc_vcpuinfo_t, blocked);
	OFFSET(xc_vcpuinfo_t, running);
	OFFSET(xc_vcpuinfo_t, cpu_time);
	OFFSET(xc_vcpuinfo_t, cpu);
	end();

	begin("hvmCpu");
	entry("code", HVM_SAVE_CODE(CPU));
	OFFSET(struct hvm_hw_cpu, rax);
	OFFSET(struct hvm_hw_cpu, rbx);
	OFFSET(struct hvm_hw_cpu, rcx);
	OFFSET(struct hvm_hw_cpu, rdx);
	OFFSET(struct hvm_hw_cpu, rbp);
	OFFSET(struct hvm_hw_cpu, rsi);
	OFFSET(struct hvm_hw_cpu, rdi);
	OFFSET(struct hvm_hw_cpu, rsp);
	OFFSET(struct hvm_hw_cpu, r8);
	OFFSET(struct hvm_hw_cpu, rip);
	OFFSET(struct hvm_hw_cpu, rflags);
	OFFSET(struct hvm_hw_cpu, cr0);
	OFFSET(struct hvm_hw_cpu, cr3);
	OFFSET(struct hvm_hw_cpu, cr4);
	OFFSET(struct hvm_hw_cpu, idtr_limit);
	OFFSET(struct hvm_hw_cpu, gdtr_limit);
	OFFSET(struct hvm_hw_cpu, fs_base);
	OFFSET(struct hvm_hw_cpu, gs_base);
	OFFSET(struct hvm_hw_cpu, idtr_base);
	OFFSET(struct hvm_hw_cpu, gdtr_base);
	OFFSET(struct hvm_hw_cpu, cs_arbytes);
	OFFSET(struct hvm_hw_cpu, sysenter_eip);
	OFFSET(struct hvm_hw_cpu, msr_lstar);
	OFFSET(struct hvm_hw_cpu, msr_star);
	OFFSET(struct hvm_hw_cpu, msr_cstar);
	OFFSET(struct hvm_hw_cpu, msr_efer);
	end();

	begin("vcpuContext");
	entry("size", sizeof(vcpu_guest_context_t));
	OFFSET(vcpu_guest_context_t, flags);
	OFFSET(vcpu_guest_context_t, user_regs);
	entry("rip", offsetof(vcpu_guest_context_t, user_regs.rip));
	entry("rsp", offsetof(vcpu_guest_context_t, user_regs.rsp));
	OFFSET(vcpu_guest_context_t, trap_ctxt);
	OFFSET(vcpu_guest_context_t, gdt_frames);
	OFFSET(vcpu_guest_context_t, gdt_ents);
	OFFSET(vcpu_guest_context_t, ctrlreg);
	OFFSET(vcpu_guest_context_t, event_callback_eip);
	OFFSET(vcpu_guest_context_t, failsafe_callback_eip);
	OFFSET(vcpu_guest_context_t, syscall_callback_eip);
	end();

	begin("vcpuRegisters");
	entry("r15", offsetof(vcpu_guest_context_t, user_regs.r15));
	entry("r14", offsetof(vcpu_guest_context_t, user_regs.r14));
	entry("r13", offsetof(vcpu_guest_context_t, user_regs.r13));
	entry("r12", offsetof(vcpu_guest_context_t, user_regs.r12));
	entry("rbp", offsetof(vcpu_guest_context_t, user_regs.rbp));
	entry("rbx", offsetof(vcpu_guest_context_t, user_regs.rbx));
	entry("r11", offsetof(vcpu_guest_context_t, user_regs.r11));
	entry("r10", offsetof(vcpu_guest_context_t, user_regs.r10));
	entry("r9", offsetof(vcpu_guest_context_t, user_regs.r9));
	entry("r8", offsetof(vcpu_guest_context_t, user_regs.r8));
	entry("rax", offsetof(vcpu_guest_context_t, user_regs.rax));
	entry("rcx", offsetof(vcpu_guest_context_t, user_regs.rcx));
	entry("rdx", offsetof(vcpu_guest_context_t, user_regs.rdx));
	entry("rsi", offsetof(vcpu_guest_context_t, user_regs.rsi));
	entry("rdi", offsetof(vcpu_guest_context_t, user_regs.rdi));
	entry("rip", offsetof(vcpu_guest_context_t, user_regs.rip));
	entry("rflags", offsetof(vcpu_guest_context_t, user_regs.rflags));
	entry("rsp", offsetof(vcpu_guest_context_t, user_regs.rsp));
	entry("cr0", offsetof(vcpu_guest_context_t, ctrlreg[0]));
	entry("cr2", offsetof(vcpu_guest_context_t, ctrlreg[2]));
	entry("cr3", offsetof(vcpu_guest_context_t, ctrlreg[3]));
	entry("cr4", offsetof(vcpu_guest_context_t, ctrlreg[4]));
	entry("dr0", offsetof(vcpu_guest_context_t, debugreg[0]));
	entry("dr1", offsetof(vcpu_guest_context_t, debugreg[1]));
	entry("dr2", offsetof(vcpu_guest_context_t, debugreg[2]));
	entry("dr3", offsetof(vcpu_guest_context_t, debugreg[3]));
	entry("dr6", offsetof(vcpu_guest_context_t, debugreg[6]));
	entry("dr7", offsetof(vcpu_guest_context_t, debugreg[7]));
	OFFSET(vcpu_guest_context_t, fs_base);
	OFFSET(vcpu_guest_context_t, gs_base_kernel);
	OFFSET(vcpu_guest_context_t, gs_base_user);
	end();

	begin("vcpuSelectors");
	entry("cs", offsetof(vcpu_guest_context_t, user_regs.cs));
	entry("ss", offsetof(vcpu_guest_context_t, user_regs.ss));
	end();

	begin("trapInfo");
	entry("size", sizeof(struct trap_info));
	entry("count", sizeof(((vcpu_guest_context_t *)0)->trap_ctxt) /
			       sizeof(struct trap_info));
	OFFSET(struct trap_info, vector);
	OFFSET(struct trap_info, flags);
	OFFSET(struct trap_info, cs);
	OFFSET(struct trap_info, address);
	end();

	begin("hvmGetMemType");
	entry("size", sizeof(struct xen_hvm_get_mem_type));
	OFFSET(struct xen_hvm_get_mem_type, domid);
	OFFSET(struct xen_hvm_get_mem_type, mem_type);
	OFFSET(struct xen_hvm_get_mem_type, pfn);
	end();

	begin("memAccessOp");
	entry("size", sizeof(struct xen_mem_access_op));
	OFFSET(struct xen_mem_access_op, op);
	OFFSET(struct xen_mem_access_op, access);
	OFFSET(struct xen_mem_access_op, domid);
	OFFSET(struct xen_mem_access_op, pfn);
	end();

	begin("mmuUpdate");
	entry("size", sizeof(struct mmu_update));
	OFFSET(struct mmu_update, ptr);
	OFFSET(struct mmu_update, val);
	end();

	begin("multicallEntry");
	entry("size", sizeof(struct multicall_entry));
	OFFSET(struct multicall_entry, op);
	OFFSET(struct multicall_entry, result);
	OFFSET(struct multicall_entry, args);
	end();

	begin("ioreq");
	entry("size", sizeof(ioreq_t));
	OFFSET(ioreq_t, addr);
	OFFSET(ioreq_t, data);
	OFFSET(ioreq_t, count);
	entry("bytes", offsetof(ioreq_t, size));
	OFFSET(ioreq_t, vp_eport);
	entry("bits", 30);
	OFFSET(ioreq_t, type);
	end();

	begin("ioreqBits");
	IOREQ_BITS(state, 15);
	IOREQ_BITS(data_is_ptr, 1);
	IOREQ_BITS(dir, 1);
	IOREQ_BITS(df, 1);
	end();

	begin("vmEvent");
	entry("size", sizeof(vm_event_request_t));
	OFFSET(vm_event_request_t, version);
	OFFSET(vm_event_request_t, flags);
	OFFSET(vm_event_request_t, reason);
	OFFSET(vm_event_request_t, vcpu_id);
	entry("gfn", offsetof(vm_event_request_t, u.mem_access.gfn));
	entry("offset", offsetof(vm_event_request_t, u.mem_access.offset));
	entry("gla", offsetof(vm_event_request_t, u.mem_access.gla));
	entry("access", offsetof(vm_event_request_t, u.mem_access.flags));
	entry("ctrlreg", offsetof(vm_event_request_t, u.write_ctrlreg.index));
	entry("ctrlreg_new",
	      offsetof(vm_event_request_t, u.write_ctrlreg.new_value));
	entry("ctrlreg_old",
	      offsetof(vm_event_request_t, u.write_ctrlreg.old_value));
	entry("msr", offsetof(vm_event_request_t, u.mov_to_msr.msr));
	entry("msr_new", offsetof(vm_event_request_t, u.mov_to_msr.new_value));
	entry("msr_old", offsetof(vm_event_request_t, u.mov_to_msr.old_value));
	entry("descriptor", offsetof(vm_event_request_t, u.desc_access.descriptor));
	entry("desc_is_write", offsetof(vm_event_request_t, u.desc_access.is_write));
	entry("rip", offsetof(vm_event_request_t, data.regs.x86.rip));
	end();

	begin("vmEventRing");
	OFFSET(vm_event_sring_t, req_prod);
	OFFSET(vm_event_sring_t, req_event);
	OFFSET(vm_event_sring_t, rsp_prod);
	OFFSET(vm_event_sring_t, rsp_event);
	OFFSET(vm_event_sring_t, ring);
	end();

	begin("domctl");
	OFFSET(struct xen_domctl, cmd);
	OFFSET(struct xen_domctl, domain);
	entry("op", offsetof(struct xen_domctl, u.monitor_op.op));
	entry("shadow_op", offsetof(struct xen_domctl, u.shadow_op.op));
	entry("dirty_bitmap",
	      offsetof(struct xen_domctl, u.shadow_op.dirty_bitmap));
	entry("pages", offsetof(struct xen_domctl, u.shadow_op.pages));
	end();

	begin("pollfd");
	entry("size", sizeof(struct pollfd));
	OFFSET(struct pollfd, fd);
	OFFSET(struct pollfd, events);
	OFFSET(struct pollfd, revents);
	end();

	begin("constants");
	NUMBER(__HYPERVISOR_mmu_update);
	NUMBER(__HYPERVISOR_memory_op);
	NUMBER(__HYPERVISOR_multicall);
	NUMBER(__HYPERVISOR_hvm_op);
	NUMBER(MMU_PT_UPDATE_PRESERVE_AD);
	NUMBER(DOMID_FIRST_RESERVED);
	NUMBER(DOMID_SELF);
	NUMBER(SHUTDOWN_reboot);
	NUMBER(HVMMEM_ram_rw);
	NUMBER(HVMMEM_ram_ro);
	NUMBER(HVMMEM_ioreq_server);
	NUMBER(HVMOP_get_mem_type);
	NUMBER(XEN_DMOP_IOREQ_MEM_ACCESS_WRITE);
	NUMBER(HVM_IOREQSRV_BUFIOREQ_OFF);
	NUMBER(XENMEM_resource_ioreq_server);
	entry("XENMEM_resource_ioreq_server_frame_ioreq_0",
	      XENMEM_resource_ioreq_server_frame_ioreq(0));
	NUMBER(XENMEM_access_op);
	NUMBER(XENMEM_access_op_get_access);
	NUMBER(XENMEM_access_rx);
	NUMBER(XENMEM_access_rwx);
	NUMBER(VM_EVENT_REASON_MEM_ACCESS);
	NUMBER(VM_EVENT_REASON_WRITE_CTRLREG);
	NUMBER(VM_EVENT_REASON_MOV_TO_MSR);
	NUMBER(VM_EVENT_REASON_SINGLESTEP);
	NUMBER(VM_EVENT_REASON_DESCRIPTOR_ACCESS);
	NUMBER(VM_EVENT_FLAG_VCPU_PAUSED);
	NUMBER(VM_EVENT_FLAG_EMULATE);
	NUMBER(VM_EVENT_FLAG_EMULATE_NOWRITE);
	NUMBER(VM_EVENT_FLAG_TOGGLE_SINGLESTEP);
	NUMBER(VM_EVENT_FLAG_DENY);
	NUMBER(VM_EVENT_FLAG_SET_REGISTERS);
	NUMBER(VM_EVENT_X86_CR0);
	NUMBER(VM_EVENT_X86_CR4);
	NUMBER(VM_EVENT_DESC_IDTR);
	NUMBER(VM_EVENT_DESC_GDTR);
	NUMBER(VM_EVENT_DESC_LDTR);
	NUMBER(VM_EVENT_DESC_TR);
	NUMBER(MEM_ACCESS_W);
	NUMBER(XEN_DOMCTL_shadow_op);
	NUMBER(XEN_DOMCTL_SHADOW_OP_OFF);
	NUMBER(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY);
	NUMBER(XEN_DOMCTL_SHADOW_OP_PEEK);
	NUMBER(MEM_ACCESS_GLA_VALID);
	NUMBER(MEM_ACCESS_FAULT_IN_GPT);
	NUMBER(XEN_DOMCTL_monitor_op);
	NUMBER(XEN_DOMCTL_MONITOR_EVENT_WRITE_CTRLREG);
	NUMBER(XEN_DOMCTL_MONITOR_EVENT_SINGLESTEP);
	NUMBER(XEN_DOMCTL_MONITOR_OP_CONTROL_REGISTERS);
	NUMBER(XEN_DOMCTL_DEBUG_OP_SINGLE_STEP_OFF);
	NUMBER(IOREQ_TYPE_COPY);
	NUMBER(STATE_IOREQ_READY);
	NUMBER(STATE_IOREQ_INPROCESS);
	NUMBER(STATE_IORESP_READY);
	NUMBER(XENVER_version);
	NUMBER(XENVER_extraversion);
	NUMBER(XTL_CRITICAL);
	NUMBER(PROT_READ);
	NUMBER(PROT_WRITE);
	NUMBER(MAP_SHARED);
	NUMBER(MAP_FIXED);
	NUMBER(EFD_CLOEXEC);
	NUMBER(POLLIN);
	NUMBER(POLLERR);
	NUMBER(POLLHUP);
	NUMBER(POLLNVAL);
	NUMBER(SIGKILL);
	end();

	begin("shutdownReasons");
	entry("poweroff", SHUTDOWN_poweroff);
	entry("reboot", SHUTDOWN_reboot);
	entry("suspend", SHUTDOWN_suspend);
	entry("crash", SHUTDOWN_crash);
	entry("watchdog", SHUTDOWN_watchdog);
	entry("soft-reset", SHUTDOWN_soft_reset);
	/* One more than the highest that xkmon knows */
	entry("unknown", SHUTDOWN_MAX + 1);
	end();

	begin("xenbusStates");
	entry("unknown", XenbusStateUnknown);
	entry("initialising", XenbusStateInitialising);
	entry("waiting for the backend", XenbusStateInitWait);
	entry("initialised", XenbusStateInitialised);
	entry("connected", XenbusStateConnected);
	entry("closing", XenbusStateClosing);
	entry("closed", XenbusStateClosed);
	entry("reconfiguring", XenbusStateReconfiguring);
	entry("reconfigured", XenbusStateReconfigured);
	end();

	printf("}\n");
	return 0;
}
