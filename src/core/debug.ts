// Hardware breakpoints and single step (Intel SDM vol. 3A, "Debug Exceptions"): instruction breakpoints are faults before
// the instruction, everything else is a trap after it. Pages with a data breakpoint are never in the TLB (memory.ts), so
// that code without breakpoints pays nothing. While SVM's GIF is 0 breakpoints are ignored and discarded (AMD APM vol.
// 2, table "Effect of the GIF on Interrupt Handling").

import { ATTENTION_SINGLE_STEP, Cpu, cpu, CPU_BASE } from "./layout.generated";
import { CR4_DE, DEBUGCTL_BTF, DEBUGCTL_LBR, NO_ADDRESS, RF, TF, updateAttention } from "./state";
import { raise, VECTOR_DB, VECTOR_PF } from "./faults";
import { settle } from "./exceptions";
import { exitsBeforeDebugTraps, guestRetired } from "./virtualization";

/** DR6: general detect, single step, task switch. */
export const DEBUG_GENERAL_DETECT: u64 = 1 << 13;
export const DEBUG_STEP: u32 = 1 << 14;
export const DEBUG_TASK: u32 = 1 << 15;

/** The bits of DR6 that tell what happened. */
const DEBUG_EVENTS: u64 = 0xe00f;

/** R/W fields of DR7. */
const BREAK_EXECUTE: u32 = 0;
const BREAK_WRITE: u32 = 1;
const BREAK_PORT: u32 = 2;
const BREAK_ACCESS: u32 = 3;

function address(number: u32): u64 {
  return load<u64>(CPU_BASE + offsetof<Cpu>("dr0") + (number << 3));
}

function enabled(number: u32): bool {
  return (((<u32>cpu.dr7) >> (number << 1)) & 3) != 0;
}

function kindOf(number: u32): u32 {
  return ((<u32>cpu.dr7) >> (16 + (number << 2))) & 3;
}

/** 1, 2, 4 or 8 bytes; 8 exists in IA-32e mode. */
function lengthOf(number: u32): u32 {
  const field = ((<u32>cpu.dr7) >> (18 + (number << 2))) & 3;
  return field == 2 ? 8 : field + 1;
}

/** An enabled instruction breakpoint at the address raises #DB as a fault, unless RF is set. */
export function breaksBefore(linear: u64): bool {
  if ((cpu.dr7 & 0xff) == 0 || (cpu.systemFlags & RF) != 0 || cpu.gif == 0) return false;
  // On Intel the instruction behind one that loads SS has none (SDM vol. 3A, "Masking Exceptions and Interrupts When
  // Switching Stacks"); AMD holds back interrupts only.
  if ((cpu.shadow & 2) != 0 && cpu.vendor == 0) return false;
  let hits: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    if (enabled(i) && kindOf(i) == BREAK_EXECUTE && address(i) == linear) hits |= 1 << i;
  }
  if (hits == 0) return false;
  raise(VECTOR_DB);
  cpu.faultLinear = hits;
  return true;
}

/** Notes the data breakpoints that an access meets. True when its page has one, and so must not be cached. */
export function watchAccess(linear: u64, bytes: u32, write: bool): bool {
  let watched = false;
  for (let i: u32 = 0; i < 4; i++) {
    const kind = kindOf(i);
    if (!enabled(i) || (kind != BREAK_WRITE && kind != BREAK_ACCESS)) continue;
    const length = <u64>lengthOf(i);
    const start = address(i) & ~(length - 1);
    if (linear >> 12 == start >> 12 || (linear + bytes - 1) >> 12 == start >> 12) watched = true;
    const meets = linear < start + length && start < linear + bytes;
    if (meets && (write || kind == BREAK_ACCESS) && cpu.gif != 0) cpu.debugPending |= 1 << i;
  }
  return watched;
}

/** Notes the I/O breakpoints that a port access meets; they exist with CR4.DE. */
export function watchPort(port: u32, bytes: u32): void {
  if ((cpu.dr7 & 0xff) == 0 || (cpu.cr4 & CR4_DE) == 0 || cpu.gif == 0) return;
  for (let i: u32 = 0; i < 4; i++) {
    if (!enabled(i) || kindOf(i) != BREAK_PORT) continue;
    const length = <u64>lengthOf(i);
    const start = address(i) & ~(length - 1);
    if (<u64>port < start + length && start < <u64>port + bytes) cpu.debugPending |= 1 << i;
  }
}

/** The instruction in progress was a branch that was taken. */
let branched: bool = false;

/**
 * A branch was taken, under IA32_DEBUGCTL.LBR or BTF (AMD APM vol. 2, "Control-Transfer Breakpoint Features"; SDM vol.
 * 3B, "Monitoring Branches, Exceptions, and Interrupts").
 */
export function noteBranch(from: u64, to: u64): void {
  branched = true;
  if ((cpu.debugctl & DEBUGCTL_LBR) == 0) return;
  cpu.branchFrom = from;
  cpu.branchTo = to;
}

/** An exception or interrupt was delivered: the branch before it is kept, and its own transfer is the last branch. */
export function noteDelivery(from: u64, to: u64): void {
  if ((cpu.debugctl & DEBUGCTL_LBR) == 0) return;
  cpu.exceptionFrom = cpu.branchFrom;
  cpu.exceptionTo = cpu.branchTo;
  cpu.branchFrom = from;
  cpu.branchTo = to;
}

/** #DB ends both, so that the records stay and the handler is not stepped. */
export function endBranchRecording(): void {
  cpu.debugctl &= ~(DEBUGCTL_LBR | DEBUGCTL_BTF);
}

/** The instruction in progress is stepped by the TF that it leaves behind. */
let stepsByNewFlag: bool = false;

/**
 * SYSCALL and SYSRET have changed TF: whether a single-step trap follows them is decided by the new value. A mask that
 * clears TF keeps the trap out of the system call's first instruction, and SYSRET to a stepped program traps at once,
 * as if the call had been one instruction (AMD APM vol. 2, "Single Stepping"; vol. 3, "SYSCALL", "SYSRET").
 */
export function stepByNewFlag(): void {
  stepsByNewFlag = true;
}

/** The instruction in progress has loaded RF: it does not end with the instruction, as RF otherwise does. */
let resumeFlagLoaded: bool = false;

/**
 * IRET and task switches load RF, and it counts for the instruction that follows (SDM vol. 3A, "Instruction-Breakpoint
 * Exception Condition").
 */
export function keepResumeFlag(): void {
  resumeFlagLoaded = (cpu.systemFlags & RF) != 0;
}

/**
 * A repeated string instruction stopped between two iterations: until it is done RF is set, so that what comes in
 * between saves it and an instruction breakpoint does not hit again (SDM vol. 3A, ibid.).
 */
export function resumeBetweenIterations(): void {
  cpu.systemFlags |= RF;
  resumeFlagLoaded = true;
  updateAttention();
}

/** After an instruction that had attention: shadows and RF end, then debug traps are raised. */
export function afterInstruction(startShadow: u32, startAttention: u32, resumed: bool, startRip: u64): void {
  if (startShadow != 0) cpu.shadow &= ~startShadow;
  if (resumed && !resumeFlagLoaded) cpu.systemFlags &= ~RF;
  resumeFlagLoaded = false;
  // TF counts as it was before the instruction: POPF that sets it lets one more go. MOV SS holds traps back.
  const held = (cpu.shadow & 2) != 0;
  const steps = stepsByNewFlag ? (cpu.systemFlags & TF) != 0 : (startAttention & ATTENTION_SINGLE_STEP) != 0;
  stepsByNewFlag = false;
  // Under BTF only branches are stepped.
  const counts = branched || (cpu.debugctl & DEBUGCTL_BTF) == 0;
  branched = false;
  if (steps && counts && !held) cpu.debugPending |= DEBUG_STEP;
  updateAttention();
  if (cpu.guestMode != 0) guestRetired(startRip);
  // A device has stopped the run: the trap is the first thing when it goes on.
  const later = held || cpu.stopKind != 0 || (cpu.guestMode != 0 && exitsBeforeDebugTraps());
  if (cpu.debugPending != 0 && !later) raiseDebugTrap(startRip);
}

/** At an exit to a VMM: a debug trap in whose delivery it came stays one of its instruction when the VMM injects it. */
export function rememberCutTrap(): void {
  const isCut = cpu.delivering != 0 && cpu.deliveringVector == VECTOR_DB && cpu.rip != cpu.instructionRip;
  cpu.cutTrapRip = cpu.instructionRip;
  cpu.cutTrapNext = isCut ? cpu.rip : NO_ADDRESS;
}

/** The instruction to which an event belongs that a VMM injects. */
export function ripOfInjected(vector: u32): u64 {
  return vector == VECTOR_DB && cpu.cutTrapNext == cpu.rip ? cpu.cutTrapRip : cpu.rip;
}

/** What its record tells besides: CR2 and DR6 are the VMM's to set before. */
export function detailOfInjected(vector: u32): u64 {
  if (vector == VECTOR_PF) return cpu.cr2;
  return vector == VECTOR_DB ? cpu.dr6 & DEBUG_EVENTS : 0;
}

/** Bit of `debugPending` beside those of DR6: a breakpoint that VM entry declares enabled, whatever DR7 says. */
export const DEBUG_ENABLED: u32 = 1 << 12;

/** #DB as a trap of the instruction at `rip`. */
export function raiseDebugTrap(rip: u64): void {
  raise(VECTOR_DB);
  cpu.debugTrap = 1;
  cpu.faultLinear = cpu.debugPending & ~DEBUG_ENABLED;
  cpu.debugPending = 0;
  cpu.instructionRip = rip;
  updateAttention();
  settle();
}
