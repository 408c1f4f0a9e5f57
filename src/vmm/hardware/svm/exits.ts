// What the VMM does at each #VMEXIT of its guest, by the name of the exit code.
// AMD APM vol. 2, "Intercept Operation" and appendix "SVM Intercept Exit Codes".

import { assert } from "../../../base/index.js";
import { cr0Bits, eferBits, exceptionByVector, pageFaultBits, svmExitByCode } from "../../../isa/index.js";
import type { VmmStop } from "../../bundled.js";
import { virtualizationExits } from "../../baseline-policy.js";
import { findMemory } from "../../policy.js";
import { loadXcr0 } from "../control-registers.js";
import { emulateCpuid } from "../cpuid.js";
import { deniedEnd } from "../denied.js";
import { gpr, type InjectedEvent } from "../exited-guest.js";
import { deniedPort, emulateIo, type IoAccess } from "../io.js";
import { decodeAtRip } from "../instruction-length.js";
import { denyMemory } from "../memory-denied.js";
import { deniedMsr, emulateRdmsr, emulateWrmsr } from "../msr.js";
import { allMemoryRights } from "../identity-tables.js";
import { crAccess } from "./cr-access.js";
import { injectRaised } from "./delivery.js";
import { taskSwitch } from "./task-switch.js";
import type { SvmShadow } from "./shadow-registers.js";
import type { SvmGuest } from "./svm-guest.js";
import type { SvmVcpu } from "./vcpu.js";

type ExitHandler = (vcpu: SvmVcpu) => VmmStop | undefined;

const invalidOpcode = { vector: 6 } as const;
const generalProtection = { vector: 13, errorCode: 0 } as const;
const pageFault = 14;
const valid = 1n << 31n;
const segmentNames = ["ES", "CS", "SS", "DS", "FS", "GS"] as const;

function cpuid({ guest }: SvmVcpu): undefined {
  guest.classify("public");
  emulateCpuid(guest);
  guest.emulated("CPUID");
  guest.advance();
}

/** The guest halts in the processor, which knows whether anything can wake it: SVM has no activity state to enter. */
function hlt(vcpu: SvmVcpu): undefined {
  vcpu.guest.classify("public");
  vcpu.setIntercept("HLT", false);
  vcpu.beginAgain();
  vcpu.atNextExit(() => vcpu.setIntercept("HLT", true));
}

function ioio({ guest }: SvmVcpu): VmmStop | undefined {
  const access = readIoAccess(guest);
  guest.classify("public");
  const denied = deniedPort(guest, access);
  if (denied) return deniedEnd(guest, denied, generalProtection);
  if (!emulateIo(guest, access)) return undefined;
  const next = guest.vmcb.get("exitinfo2");
  guest.emulated("IOIO");
  guest.advance(Number(next - guest.rip));
  return undefined;
}

/** EXITINFO1 of IOIO: direction, string, REP, sizes, segment and port. */
function readIoAccess(guest: SvmGuest): IoAccess {
  const information = Number(guest.vmcb.get("exitinfo1") & 0xffff_ffffn);
  const input = (information & 1) !== 0;
  const string = (information & 4) !== 0;
  const segment = input ? "ES" : (segmentNames[(information >> 10) & 7] ?? "DS");
  const flat = guest.codeBits === 64 && segment !== "FS" && segment !== "GS";
  return {
    port: information >>> 16,
    sizeBytes: (information >> 4) & 7,
    input,
    string,
    rep: (information & 8) !== 0,
    segmentBase: string && !flat ? guest.segment(segment).base : 0n,
    addressBits: (information & 0x80) !== 0 ? 16 : (information & 0x100) !== 0 ? 32 : 64,
  };
}

function msr({ guest }: SvmVcpu): VmmStop | undefined {
  const write = (guest.vmcb.get("exitinfo1") & 1n) !== 0n;
  guest.classify("public");
  const denied = deniedMsr(guest, write);
  if (denied) return deniedEnd(guest, denied, generalProtection);
  finish(guest, "MSR", write ? emulateWrmsr(guest) : emulateRdmsr(guest));
  return undefined;
}

function xsetbv({ guest }: SvmVcpu): undefined {
  guest.classify("public");
  const value = (BigInt(guest.general32(gpr.rdx)) << 32n) | BigInt(guest.general32(gpr.rax));
  finish(guest, "XSETBV", loadXcr0(guest, guest.general32(gpr.rcx), value));
}

function finish(guest: SvmGuest, subject: string, done: boolean): void {
  if (!done) {
    guest.inject(generalProtection);
    return;
  }
  guest.emulated(subject);
  guest.advance();
}

function absentInstruction({ guest }: SvmVcpu): undefined {
  guest.classify("public");
  guest.inject(invalidOpcode);
}

function nothingToDo(subject: string): ExitHandler {
  return ({ guest }) => {
    guest.classify("public");
    guest.emulated(subject);
    guest.advance();
    return undefined;
  };
}

function shutdown({ guest }: SvmVcpu): VmmStop {
  guest.classify("public");
  if (guest.events.listening) guest.events.append({ kind: "shutdown", rip: guest.rip });
  return { kind: "shutdown" };
}

/** INIT takes a bootstrap processor to firmware, which this VMM has none of: the run ends as by a shutdown. */
function initSignal({ guest }: SvmVcpu): VmmStop {
  guest.classify("internal");
  if (guest.events.listening) guest.events.append({ kind: "shutdown", rip: guest.rip });
  return { kind: "shutdown", byInit: true };
}

/** INTR, NMI: the guest takes the event itself once the intercept is lifted; the next exit sets it again. */
function passToGuest(name: string): ExitHandler {
  return (vcpu) => {
    vcpu.guest.classify("public");
    vcpu.setIntercept(name, false);
    vcpu.atNextExit(() => vcpu.setIntercept(name, true));
    if (name === "NMI") vcpu.putBackNmi();
    return undefined;
  };
}

/** NPF: a declared rule denies the access, or covers a part of the page only. */
function nestedPageFault(vcpu: SvmVcpu): VmmStop | undefined {
  const { guest } = vcpu;
  const code = guest.vmcb.get("exitinfo1");
  const guestPhysical = guest.vmcb.get("exitinfo2");
  const write = (code & pageFaultBits.W) !== 0n;
  const fetch = (code & pageFaultBits.I) !== 0n;
  const rule = findMemory(guest.policy.memory, guestPhysical);
  if (rule === undefined) {
    guest.classify("internal");
    vcpu.mapHole(guestPhysical);
    if ((guest.vmcb.get("exitintinfo") & valid) === 0n && !fetch) vcpu.beginAgain();
    return undefined;
  }
  const { rights } = rule;
  if (write ? rights.write : fetch ? rights.execute : rights.read) {
    guest.classify("internal");
    const close = vcpu.openPage(guestPhysical);
    vcpu.beginStep(close);
    if (!fetch) vcpu.beginAgain();
    return undefined;
  }
  guest.classify("public");
  if (rule.denied !== "stop" && (guest.vmcb.get("exitintinfo") & valid) !== 0n) {
    return vcpu.refuse("the delivery of an event needs memory that the declared policy denies");
  }
  // The exit does not tell the linear address; without paging it is the physical one.
  const linear = (guest.vmcb.get("cr0") & cr0Bits.PG) === 0n ? guestPhysical : undefined;
  const access = write ? "write" : fetch ? "execute" : "read";
  const end = denyMemory(guest, rule, { guestPhysical, linear, access });
  return end?.kind === "refused" ? vcpu.refuse(end.why) : end;
}

/** An exception that the test asked for goes back into the guest; a #DB may be the end of the VMM's own step. */
function exception(vector: number): ExitHandler {
  return (vcpu) => {
    const { guest } = vcpu;
    if (vector === 1 && vcpu.endStep()) {
      guest.classify("internal");
      return undefined;
    }
    if (vector === pageFault && vcpu.shadow) return shadowFault(vcpu, vcpu.shadow);
    if (vector === generalProtection.vector) return protectionFault(guest);
    guest.classify("public");
    const raised: InjectedEvent = {
      vector,
      ...(exceptionByVector(vector)?.hasErrorCode === true && {
        errorCode: Number(guest.vmcb.get("exitinfo1") & 0xffff_ffffn),
      }),
      ...(vector === pageFault && { cr2: guest.vmcb.get("exitinfo2") }),
    };
    return injectRaised(guest, raised);
  };
}

/**
 * The processor has EFER.SVME set whatever the guest believes, so that it checks the CPL and the operand of an
 * instruction of SVM before this VMM sees it: without SVM in the guest the instruction is undefined.
 */
function protectionFault(guest: SvmGuest): VmmStop | undefined {
  guest.classify(guest.policy.intercepts.includes("#GP") ? "public" : "internal");
  const errorCode = Number(guest.vmcb.get("exitinfo1") & 0xffff_ffffn);
  const isFetched = errorCode === 0 && (guest.vmcb.get("exitintinfo") & valid) === 0n;
  const hasSvm = (guest.register("EFER") & eferBits.SVME) !== 0n;
  if (isFetched && !hasSvm && ofSvm.has(decodeAtRip(guest)?.instruction.mnemonic ?? "")) {
    guest.inject(invalidOpcode);
    return undefined;
  }
  return injectRaised(guest, { vector: generalProtection.vector, errorCode });
}

/** A page fault of a guest on shadow page tables: a miss of the VMM's own, the guest's, or a declared rule's. */
function shadowFault(vcpu: SvmVcpu, shadow: SvmShadow): VmmStop | undefined {
  const { guest } = vcpu;
  const linear = guest.vmcb.get("exitinfo2");
  const errorCode = guest.vmcb.get("exitinfo1");
  const outcome = shadow.tables.ask(guest.paging, linear, errorCode);
  if (outcome.kind === "guest") {
    guest.classify(guest.policy.intercepts.includes("#PF") ? "public" : "internal");
    return injectRaised(guest, { vector: pageFault, errorCode: outcome.errorCode, cr2: linear });
  }
  const { physical } = outcome.mapping;
  const access = accessOf(errorCode);
  const rule = findMemory(guest.policy.memory, physical);
  if (rule && !rule.rights[access]) {
    guest.classify("public");
    if (rule.denied !== "stop" && (guest.vmcb.get("exitintinfo") & valid) !== 0n) {
      return vcpu.refuse("the delivery of an event needs memory that the declared policy denies");
    }
    const end = denyMemory(guest, rule, { guestPhysical: physical, linear, access });
    return end?.kind === "refused" ? vcpu.refuse(end.why) : end;
  }
  guest.classify("internal");
  shadow.tables.fill(guest.paging, linear, errorCode, outcome.mapping, rule?.rights ?? allMemoryRights);
  if ((guest.vmcb.get("exitintinfo") & valid) === 0n) vcpu.beginAgain(linear);
  return undefined;
}

function accessOf(code: bigint): "read" | "write" | "execute" {
  if ((code & pageFaultBits.W) !== 0n) return "write";
  return (code & pageFaultBits.I) !== 0n ? "execute" : "read";
}

/** On shadow page tables INVLPG is the VMM's to carry out. */
function invlpg(vcpu: SvmVcpu): VmmStop | undefined {
  const { guest, shadow } = vcpu;
  if (!shadow) return asked("INVLPG")(vcpu);
  const isAsked = guest.policy.intercepts.includes("INVLPG");
  guest.classify(isAsked ? "public" : "internal");
  shadow.flush();
  if (isAsked) guest.emulated("INVLPG");
  guest.advance();
  return undefined;
}

/** An exit that only the declared policy asks for: the guest carries the instruction out itself, exits lifted for it. */
function asked(name: string): ExitHandler {
  return (vcpu) => {
    vcpu.guest.classify("public");
    vcpu.setIntercept(name, false);
    vcpu.beginStep(() => vcpu.setIntercept(name, true));
    vcpu.beginAgain();
    vcpu.guest.emulated(name);
    return undefined;
  };
}

/** Instructions that a processor with EFER.SVME set knows. */
const ofSvm: ReadonlySet<string> = new Set(virtualizationExits.amd.filter((name) => name !== "VMMCALL"));

const byName = new Map<string, ExitHandler>([
  ["CPUID", cpuid],
  ["HLT", hlt],
  ["IOIO", ioio],
  ["MSR", msr],
  ["XSETBV", xsetbv],
  ["SHUTDOWN", shutdown],
  ["INIT", initSignal],
  ["TASK_SWITCH", taskSwitch],
  ["INTR", passToGuest("INTR")],
  ["NMI", passToGuest("NMI")],
  ["NPF", nestedPageFault],
  ["INVLPG", invlpg],
  ...["CR0_READ", "CR0_WRITE", "CR3_READ", "CR3_WRITE", "CR4_READ", "CR4_WRITE"].map(
    (name) => [name, (vcpu: SvmVcpu) => crAccess(vcpu, name)] as const,
  ),
  ["INVD", nothingToDo("INVD")],
  ["WBINVD", nothingToDo("WBINVD")],
  ["PAUSE", nothingToDo("PAUSE")],
  ...virtualizationExits.amd.map((name) => [name, absentInstruction] as const),
  ...Array.from({ length: 32 }, (_, vector) => [`EXCP${vector}`, exception(vector)] as const),
]);

/** Handlers by code, found when a code first occurs. */
const byCode = new Map<bigint, ExitHandler>();

function handlerOf(code: bigint): ExitHandler {
  let handler = byCode.get(code);
  if (handler === undefined) {
    const name = svmExitByCode(code)?.name;
    assert(name !== undefined, `#VMEXIT 0x${code.toString(16)} has a name`);
    handler = byName.get(name) ?? asked(name);
    byCode.set(code, handler);
  }
  return handler;
}

/** Handles the exit with this EXITCODE, all of whose 64 bits count. */
export function handleExit(vcpu: SvmVcpu, code: bigint): VmmStop | undefined {
  return handlerOf(code)(vcpu);
}
