// The rules of SVM instructions and of VMRUN: AMD APM vol. 2, chapter "Secure Virtual Machine", "VMRUN Instruction",
// "Canonicalization and Consistency Checks".

import { apm2, apm3 } from "../citations.js";
import { numberRules, ruleGroup } from "../rule.js";
import type { Rule } from "../rule.js";

/** First number of the SVM rules in the core's numbering. */
export const svmRuleBase = 0x300;

const chapter = "Secure Virtual Machine";
const invalid = { kind: "INVALID" } as const;

/** Every SVM rule, in order of numbers. */
export const svmRules: readonly Rule[] = numberRules(svmRuleBase, [
  ruleGroup({ kind: "fault", vector: 6 }, apm2(chapter, "Enabling SVM"), [
    ["svm.enabled", "SVM instructions need EFER.SVME = 1"],
  ]),
  ruleGroup({ kind: "fault", vector: 6 }, apm3("VMMCALL"), [["vmmcall.intercepted", "VMMCALL needs its intercept"]]),
  ruleGroup({ kind: "fault", vector: 6 }, apm3("SKINIT"), [["skinit.supported", "SKINIT needs its CPUID bit"]]),
  ruleGroup({ kind: "fault", vector: 13 }, apm2(chapter, "Enabling SVM"), [
    ["svm.cpl", "SVM instructions but VMMCALL need CPL 0"],
    ["vmcb.address", "the VMCB's address is 4-KByte aligned and within the physical-address width"],
  ]),
  ruleGroup({ kind: "fault", vector: 13 }, apm2(chapter, "VM_HSAVE_PA MSR"), [
    ["vmrun.host_save", "VMRUN needs a host save area: VM_HSAVE_PA is not 0"],
  ]),
  ruleGroup(invalid, apm2(chapter, "Canonicalization and Consistency Checks"), [
    ["vmcb.efer.svme", "guest EFER.SVME is 1"],
    ["vmcb.cr0.cache", "guest CR0.NW needs CR0.CD"],
    ["vmcb.cr0.high", "bits 63:32 of guest CR0 are 0"],
    ["vmcb.cr3.reserved", "guest CR3 sets no bit that must be 0"],
    ["vmcb.cr4.reserved", "guest CR4 sets no bit that must be 0"],
    ["vmcb.dr6.high", "bits 63:32 of guest DR6 are 0"],
    ["vmcb.dr7.high", "bits 63:32 of guest DR7 are 0"],
    ["vmcb.efer.reserved", "guest EFER sets no bit that must be 0"],
    ["vmcb.efer.long_mode", "guest EFER.LME and LMA need a processor with long mode"],
    ["vmcb.long_mode.pae", "EFER.LME with CR0.PG needs CR4.PAE"],
    ["vmcb.long_mode.pe", "EFER.LME with CR0.PG needs CR0.PE"],
    ["vmcb.long_mode.cs", "CS.L and CS.D exclude each other in long mode"],
    ["vmcb.pdptes", "the PDPTEs of a guest in PAE paging set no bit that must be 0, but under nested paging"],
    ["vmcb.intercept.vmrun", "the VMRUN intercept is set"],
    ["vmcb.iopm.width", "the I/O permission map lies within the physical-address width"],
    ["vmcb.msrpm.width", "the MSR permission map lies within the physical-address width"],
  ]),
  ruleGroup(invalid, apm2(chapter, "Event Injection"), [
    ["vmcb.inject.type", "the injected event has a defined type"],
    ["vmcb.inject.vector", "an injected exception has a vector that exceptions can have"],
    ["vmcb.inject.mode", "an injected exception can occur in the guest's mode: #OF and #BR not in 64-bit mode"],
  ]),
  ruleGroup(invalid, apm2(chapter, "Canonicalization and Consistency Checks"), [
    ["vmcb.asid", "the guest's ASID is not 0"],
    ["vmcb.asid.count", "the guest's ASID is one that the processor has"],
  ]),
  ruleGroup(invalid, apm2(chapter, "TLB Flush"), [
    ["vmcb.tlb_control", "TLB_CONTROL is a command that the processor has"],
  ]),
  ruleGroup(invalid, apm2(chapter, "Advanced Virtual Interrupt Controller"), [
    ["vmcb.avic.pointers", "the AVIC's backing page and tables lie within the physical-address width"],
  ]),
  ruleGroup(invalid, apm2(chapter, "Enabling Nested Paging"), [
    ["vmcb.nested.supported", "nested paging is enabled only where supported"],
    ["vmcb.nested.host_paging", "nested paging needs paging in the host"],
    ["vmcb.nested.cr3", "nCR3 sets no bit that must be 0"],
    ["vmcb.nested.pat", "each byte of guest PAT is a memory type under nested paging"],
  ]),
]);
