// Sets up SVM for one guest: intercepts, permission maps, nested tables, and the guest's first state in a VMCB.
// AMD APM vol. 2, "SVM Processor and Platform Extensions" and "VMRUN Instruction".

import { cr0Bits, cr4Bits, eferBits, exceptionByName, findSvmIntercept } from "../../../isa/index.js";
import type { StartState } from "../../../program/index.js";
import { baselinePolicy } from "../../baseline-policy.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { VmmPolicy } from "../../policy.js";
import type { Processor, SvmOperations } from "../../virtualization.js";
import { buildNestedTables } from "./nested-tables.js";
import { ioMapBytes, ioPermissionMap, msrMapBytes, msrPermissionMap } from "./permission-maps.js";
import { Vmcb, vmcbBytes } from "./vmcb.js";

export interface SvmSetupInput {
  readonly processor: Processor;
  readonly svm: SvmOperations;
  readonly pages: PageAllocator;
  readonly policy: VmmPolicy;
  readonly start: StartState;
}

export interface SvmSetup {
  readonly vmcb: Vmcb;
  readonly nestedRoot: bigint;
}

/** Exits whose intercept bit has another name. */
const bitOfExit: Readonly<Record<string, readonly string[]>> = { IOIO: ["IOIO_PROT"], MSR: ["MSR_PROT"] };
/** What shadow page tables need to see. */
const shadowExits = [
  "#PF",
  "CR0_READ",
  "CR0_WRITE",
  "CR3_READ",
  "CR3_WRITE",
  "CR4_READ",
  "CR4_WRITE",
  "INVLPG",
  "TASK_SWITCH",
] as const;
const nestedPagingEnable = 1n;
const lbrVirtualization = 1n;
const guestAsid = 1n;
const patReset = 0x0007_0406_0007_0406n;
const dr6Reset = 0xffff_0ff0n;
const dr7Reset = 0x400n;

/**
 * Leaves the processor in host mode with a VMCB that is ready for VMRUN. The processor holds the image's start state
 * before: VMSAVE takes its MSRs from there.
 */
export function setUpSvm(input: SvmSetupInput): SvmSetup {
  const { processor, svm, pages, policy, start } = input;
  const hostSave = BigInt(pages.take());
  const tables = BigInt(pages.take());
  enterHostState(processor, tables);
  svm.start(hostSave);
  const address = BigInt(pages.take());
  processor.writePhysical(address, new Uint8Array(vmcbBytes));
  const vmcb = new Vmcb(address, processor.window(address, vmcbBytes));
  writeIntercepts(vmcb, policy);
  const io = BigInt(pages.take(ioMapBytes / 0x1000));
  processor.writePhysical(io, ioPermissionMap(policy));
  vmcb.put("IOPM_BASE_PA", io);
  const msrs = BigInt(pages.take(msrMapBytes / 0x1000));
  processor.writePhysical(msrs, msrPermissionMap(policy));
  vmcb.put("MSRPM_BASE_PA", msrs);
  const nests = processor.platform.cpu.features.includes("NP");
  const nestedRoot = nests ? buildNestedTables(processor, pages, policy.memory) : 0n;
  vmcb.put("NESTED_CTL", nests ? nestedPagingEnable : 0n);
  vmcb.put("N_CR3", nestedRoot);
  if (hasBranches(processor)) vmcb.put("VIRT_EXT", lbrVirtualization);
  interceptExit(vmcb, "#GP");
  // Nobody but the machine's own guest can send one.
  if (policy.passThrough === true) interceptExit(vmcb, "INIT");
  if (!nests) for (const name of shadowExits) interceptExit(vmcb, name);
  vmcb.put("GUEST_ASID", guestAsid);
  svm.save(vmcb.address);
  writeGuestState(vmcb, start);
  return { vmcb, nestedRoot };
}

/** The guest has DebugCtl and the records of branches to itself: "LBR Virtualization". */
export function hasBranches({ platform }: Processor): boolean {
  return platform.cpu.features.includes("LBRVIRT");
}

/** Names of the exits that the VMM asks for. */
export function askedExits(policy: VmmPolicy): readonly string[] {
  const rows = baselinePolicy.filter((row) => row.optional !== true || policy.interceptNothing !== true);
  return [...rows.flatMap((row) => row.amd ?? []), ...policy.intercepts];
}

/** Where an intercept bit stands. */
interface InterceptBit {
  readonly offset: number;
  readonly mask: number;
}

const knownBits = new Map<string, readonly InterceptBit[]>();

/** Intercept bits of one exit; none for exits without a bit of their own. */
export function interceptBits(name: string): readonly InterceptBit[] {
  let bits = knownBits.get(name);
  if (bits === undefined) {
    bits = findBits(name);
    knownBits.set(name, bits);
  }
  return bits;
}

function findBits(name: string): readonly InterceptBit[] {
  // NMI has a vector too, and an intercept of its own.
  const vector = name.startsWith("#") ? exceptionByName(name)?.vector : undefined;
  const names = vector === undefined ? (bitOfExit[name] ?? [name]) : [`EXCP${vector}`];
  return names.flatMap((bit) => {
    const found = findSvmIntercept(bit);
    return found ? [{ offset: found.offset, mask: (1 << found.bit) >>> 0 }] : [];
  });
}

function writeIntercepts(vmcb: Vmcb, policy: VmmPolicy): void {
  for (const name of askedExits(policy)) interceptExit(vmcb, name);
}

function interceptExit(vmcb: Vmcb, name: string): void {
  for (const { offset, mask } of interceptBits(name)) vmcb.writeU32(offset, vmcb.readU32(offset) | mask);
}

/** The VMM's own state: long mode, as its nested tables need it. It runs no instruction there. */
function enterHostState(processor: Processor, tables: bigint): void {
  processor.setRegister("CR0", cr0Bits.PE | cr0Bits.ET | cr0Bits.NE | cr0Bits.PG);
  processor.setRegister("CR3", tables);
  processor.setRegister("CR4", cr4Bits.PAE);
  processor.setRegister("EFER", eferBits.LME | eferBits.LMA | eferBits.NXE | eferBits.SVME);
  processor.setRegister("RFLAGS", 2n);
  processor.setRegister("RIP", 0n);
  const flat = { base: 0n, limitBytes: 0xffff_ffff };
  processor.setSegment("CS", { ...flat, selector: 0x08, rights: 0xa09b });
  for (const name of ["SS", "DS", "ES"] as const)
    processor.setSegment(name, { ...flat, selector: 0x10, rights: 0xc093 });
}

function writeGuestState(vmcb: Vmcb, start: StartState): void {
  const { segments } = start;
  for (const name of ["ES", "CS", "SS", "DS", "FS", "GS"] as const) vmcb.putSegment(name, segments[name]);
  vmcb.putSegment("LDTR", start.ldtr);
  vmcb.putSegment("TR", start.tr);
  vmcb.put("GDTR_BASE", start.gdtr.base);
  vmcb.put("GDTR_LIMIT", BigInt(start.gdtr.limitBytes));
  vmcb.put("IDTR_BASE", start.idtr.base);
  vmcb.put("IDTR_LIMIT", BigInt(start.idtr.limitBytes));
  vmcb.put("CPL", BigInt((start.cr0 & cr0Bits.PE) === 0n ? 0 : (segments.SS.rights >> 5) & 3));
  vmcb.set("efer", start.efer | eferBits.SVME);
  vmcb.set("cr0", start.cr0);
  vmcb.set("cr3", start.cr3);
  vmcb.set("cr4", start.cr4);
  vmcb.put("DR6", dr6Reset);
  vmcb.put("DR7", dr7Reset);
  vmcb.set("rflags", start.rflags | 2n);
  vmcb.set("rip", start.rip);
  vmcb.set("rsp", start.registers["RSP"] ?? 0n);
  vmcb.set("rax", start.registers["RAX"] ?? 0n);
  vmcb.put("G_PAT", patReset);
}
