// Rules behind the faults of the processor itself, where the reason is not plain from vector and error code.

import { sdm2, sdm3 } from "./citations.js";
import { numberRules, ruleGroup, type Rule } from "./rule.js";

const gp = { kind: "fault", vector: 13 } as const;
const ud = { kind: "fault", vector: 6 } as const;
const system = "System Architecture Overview";

/** First number of these rules in raw events. */
export const processorRuleBase = 0x800;

/** In the order that gives the numbers. */
export const processorRules: readonly Rule[] = numberRules(processorRuleBase, [
  ruleGroup(gp, sdm3("Protection", "Limit Checking"), [
    ["segment.limit", "an access lies within the limit, type and usability of its segment"],
    ["code.limit", "code lies within the limit of its segment"],
    ["table.limit", "a selector's descriptor lies within the limit of its table"],
  ]),
  ruleGroup(gp, sdm3(system, "Extended Feature Enable Register"), [
    ["address.canonical", "a linear address is canonical"],
  ]),
  ruleGroup(gp, sdm3("Protection", "Privilege Level Checking When Accessing Data Segments"), [
    ["selector.null", "the selector is not null"],
    ["selector.type", "the descriptor's type suits its use"],
    ["selector.privilege", "CPL and RPL reach the descriptor's DPL"],
  ]),
  ruleGroup(gp, sdm3("Protection", "Privileged Instructions"), [
    ["instruction.privilege", "the instruction needs CPL 0"],
    ["instruction.iopl", "the instruction needs CPL not above IOPL"],
    ["instruction.umip", "with CR4.UMIP the instruction needs CPL 0"],
    ["instruction.length", "an instruction is at most 15 bytes long"],
  ]),
  ruleGroup(gp, sdm3("Interrupt and Exception Handling", "Protection of Exception- and Interrupt-Handler Procedures"), [
    ["gate.privilege", "a software interrupt's gate has a DPL not below CPL"],
    ["gate.limit", "the vector lies within the limit of the IDT"],
    ["gate.type", "the entry of the IDT is an interrupt, trap or task gate of the mode"],
  ]),
  ruleGroup(gp, sdm3(system, "Control Registers"), [
    ["cr0.reserved", "bits of CR0 that are set are defined"],
    ["cr0.paging", "CR0.PG needs CR0.PE"],
    ["cr0.write_through", "CR0.NW needs CR0.CD"],
    ["cr0.long_mode", "paging with EFER.LME needs CR4.PAE and a code segment with L clear"],
    ["cr3.reserved", "bits of CR3 above the physical-address width are clear"],
    ["cr3.pdptes", "the page-directory-pointer entries that CR3 names have reserved bits clear"],
    ["cr4.reserved", "bits of CR4 that are set exist on the model"],
    ["cr4.long_mode", "PAE, and the number of paging levels, stay as they are in IA-32e mode"],
    ["cr4.pcid", "CR4.PCIDE needs IA-32e mode, and CR3's PCID 0 when it is set"],
    ["cr8.reserved", "CR8 has bits 3:0 only"],
  ]),
  ruleGroup(gp, sdm2("WRMSR"), [
    ["msr.unknown", "the model has the MSR"],
    ["msr.reserved", "bits of the MSR that change may be written"],
    ["msr.locked", "the MSR is not locked or read-only"],
    ["efer.paging", "EFER.LME stays as it is while paging is on"],
    ["vm_cr.svmdis", "EFER.SVME needs VM_CR.SVMDIS clear"],
  ]),
  ruleGroup(gp, sdm3("Protection", "Privileged Instructions"), [["xcr.value", "XSETBV sets a valid XCR0"]]),
  ruleGroup(gp, sdm3("Debug, Branch Profile, TSC, and Intel RDT Features", "Debug Registers"), [
    ["dr.reserved", "bits 63:32 of DR6 and DR7 are clear"],
  ]),
  ruleGroup(ud, sdm3(system, "Control Registers"), [
    ["instruction.feature", "the model has the instruction's feature and software has enabled it"],
    ["instruction.lock", "LOCK goes with instructions that update memory only"],
  ]),
]);
