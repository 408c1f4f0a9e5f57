// APIC virtualization: the virtual-APIC page, virtual interrupts, posted interrupts.
// Intel SDM vol. 3, chapter "APIC Virtualization and Virtual Interrupts"; one function per operation of the manual.
//
// RVI and SVI, the guest interrupt status, are kept in the VMCS all the time. An access to the APIC-access page that is
// virtualized goes to the virtual-APIC page instead; what follows a write is done at the next instruction boundary.

import {
  ACTIVITY_HLT, ATTENTION_VIRTUALIZATION, TYPE_EXTERNAL, cpu,
} from "./layout.generated"; // prettier-ignore
import { memoryWrite, msrWrite } from "./host";
import { injectEvent } from "./interrupts";
import { ACCESS_FETCH, ACCESS_PROBE, ACCESS_WRITE } from "./paging";
import { physicalRead, physicalWrite } from "./physical";
import { IF, NO_ADDRESS } from "./state";
import { exitAfterAccess, exitAfterInstruction, exitBecause } from "./vmx-exit";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { read, read32, vmx, write } from "./vmx-state";

// Registers of the virtual-APIC page, as in the page of the local APIC.
const ID: u32 = 0x20;
const VERSION: u32 = 0x30;
const TPR: u32 = 0x80;
const PPR: u32 = 0xa0;
const EOI: u32 = 0xb0;
const LOGICAL_DESTINATION: u32 = 0xd0;
const DESTINATION_FORMAT: u32 = 0xe0;
const SPURIOUS: u32 = 0xf0;
const ISR: u32 = 0x100;
const IRR: u32 = 0x200;
const ERROR_STATUS: u32 = 0x280;
const ICR_LOW: u32 = 0x300;
const ICR_HIGH: u32 = 0x310;
const LVT_FIRST: u32 = 0x320;
const INITIAL_COUNT: u32 = 0x380;
const DIVIDE: u32 = 0x3e0;
const SELF_IPI: u32 = 0x3f0;

/** Register of the local APIC that ends an interrupt: in its page, and as an MSR in x2APIC mode. */
const APIC_EOI: u32 = 0xfee000b0;
const X2APIC_EOI: u32 = 0x80b;
const X2APIC_MODE: u64 = 0xc00;

// Kinds of access in bits 15:12 of the qualification of an APIC-access exit.
const ACCESS_TYPE_READ: u64 = 0;
const ACCESS_TYPE_WRITE: u64 = 1;
const ACCESS_TYPE_FETCH: u64 = 2;
const ACCESS_TYPE_DELIVERY: u64 = 3;
const ACCESS_TYPE_PHYSICAL_DELIVERY: u64 = 10;
const ACCESS_TYPE_PHYSICAL: u64 = 15;

/** Set in `vmx.apicPage` beside the number of the APIC-access page. */
const VIRTUALIZED: u64 = 1 << 63;
/** Vectors below are never requested. */
const FIRST_VECTOR: u32 = 16;

/** Set in `vmx.apicWrite` beside the offset of a write that has happened. */
const WRITTEN: u32 = 0x80000000;

function secondary(control: u32): bool {
  return (vmx.secondary & control) != 0;
}

function tprShadow(): bool {
  return (vmx.primary & X.USE_TPR_SHADOW) != 0;
}

function register(offset: u32): u32 {
  return <u32>physicalRead(read(F.VIRTUAL_APIC_ADDRESS) + offset, 4);
}

function setRegister(offset: u32, value: u32): void {
  physicalWrite(read(F.VIRTUAL_APIC_ADDRESS) + offset, value, 4);
}

/** Offset of the word of VISR or VIRR that holds a vector. */
function wordOf(set: u32, vector: u32): u32 {
  return set | ((vector & 0xe0) >> 1);
}

function changeVector(set: u32, vector: u32, present: bool): void {
  const at = wordOf(set, vector);
  const bit: u32 = 1 << (vector & 31);
  setRegister(at, present ? register(at) | bit : register(at) & ~bit);
}

/** The highest vector of VISR or VIRR, 0 for none. */
function highestVector(set: u32): u32 {
  for (let word: i32 = 7; word >= 0; word--) {
    const bits = register(set + (<u32>word << 4));
    if (bits != 0) return (<u32>word << 5) + 31 - clz<u32>(bits);
  }
  return 0;
}

function rvi(): u32 {
  return read32(F.GUEST_INTERRUPT_STATUS) & 0xff;
}

function svi(): u32 {
  return (read32(F.GUEST_INTERRUPT_STATUS) >> 8) & 0xff;
}

function setStatus(requesting: u32, servicing: u32): void {
  write(F.GUEST_INTERRUPT_STATUS, requesting | (servicing << 8));
}

// "Virtual APIC State" ------------------------------------------------------------------------------------------------

/** "TPR Virtualization". */
function virtualizeTpr(): void {
  if (secondary(X.VIRTUAL_INTERRUPT_DELIVERY)) {
    virtualizePpr();
    evaluate();
    return;
  }
  if ((register(TPR) >> 4) % 16 < (read32(F.TPR_THRESHOLD) & 15)) vmx.tprBelowThreshold = 1;
}

/** "PPR Virtualization". */
function virtualizePpr(): void {
  const tpr = register(TPR) & 0xff;
  const servicing = svi();
  setRegister(PPR, tpr >> 4 >= servicing >> 4 ? tpr : servicing & 0xf0);
}

/** "EOI Virtualization". True when the EOI exits. */
function virtualizeEoi(): bool {
  const vector = svi();
  changeVector(ISR, vector, false);
  setStatus(rvi(), highestVector(ISR));
  virtualizePpr();
  const bitmap = read(F.EOI_EXIT_BITMAP_0 + ((vector >> 6) << 3));
  if (((bitmap >> (vector & 63)) & 1) != 0) {
    return exitAfterInstruction(X.EXIT_VIRTUALIZED_EOI, X.CAUSE_VIRTUAL_INTERRUPT_DELIVERY, vector);
  }
  evaluate();
  return false;
}

/** "Self-IPI Virtualization". */
function virtualizeSelfIpi(vector: u32): void {
  changeVector(IRR, vector, true);
  setStatus(max<u32>(rvi(), vector), svi());
  evaluate();
}

// "Evaluation and Delivery of Virtual Interrupts" ---------------------------------------------------------------------

/** "Evaluation of Pending Virtual Interrupts". */
function evaluate(): void {
  const window = (vmx.primary & X.INTERRUPT_WINDOW_EXITING) != 0;
  vmx.virtualInterrupt = !window && rvi() >> 4 > (register(PPR) >> 4) % 16 ? 1 : 0;
  if (vmx.virtualInterrupt != 0) cpu.attention |= ATTENTION_VIRTUALIZATION;
}

/** VM entry with virtual-interrupt delivery ("Updating Non-Register State"). */
export function enterVirtualInterrupts(): void {
  vmx.virtualInterrupt = 0;
  if (!secondary(X.VIRTUAL_INTERRUPT_DELIVERY)) return;
  virtualizePpr();
  evaluate();
}

/** A recognized virtual interrupt can be taken at this boundary. */
export function virtualInterruptOpen(): bool {
  if (vmx.virtualInterrupt == 0 || (vmx.primary & X.INTERRUPT_WINDOW_EXITING) != 0) return false;
  return (cpu.systemFlags & IF) != 0 && cpu.shadow == 0 && cpu.activity <= ACTIVITY_HLT;
}

/** "Virtual-Interrupt Delivery". */
export function deliverVirtualInterrupt(): void {
  const vector = rvi();
  changeVector(ISR, vector, true);
  setRegister(PPR, vector & 0xf0);
  changeVector(IRR, vector, false);
  setStatus(highestVector(IRR), vector);
  vmx.virtualInterrupt = 0;
  cpu.instructionRip = cpu.rip;
  cpu.instructionLength = 0;
  cpu.rule = 0;
  injectEvent(vector, TYPE_EXTERNAL, 0, 0);
}

/** "Posted-Interrupt Processing" of a vector that the controller gave; false where it is not the notification. */
export function processPostedInterrupt(vector: u32): bool {
  if ((vmx.pin & X.PROCESS_POSTED_INTERRUPTS) == 0) return false;
  if (vector != (read32(F.POSTED_INTERRUPT_NOTIFICATION_VECTOR) & 0xff)) return false;
  const descriptor = read(F.POSTED_INTERRUPT_DESCRIPTOR_ADDRESS);
  // Step 3: the outstanding-notification bit is cleared; step 4: the controller hears of the end.
  physicalWrite(descriptor + 32, physicalRead(descriptor + 32, 1) & 0xfe, 1);
  if ((cpu.apicBase & X2APIC_MODE) == X2APIC_MODE) msrWrite(X2APIC_EOI, 0);
  else memoryWrite(APIC_EOI, 0, 4);
  // Step 5 and 6: the requests are taken over.
  let highest: u32 = 0;
  for (let word: u32 = 0; word < 8; word++) {
    const bits = <u32>physicalRead(descriptor + (word << 2), 4);
    if (bits == 0) continue;
    physicalWrite(descriptor + (word << 2), 0, 4);
    const at = IRR + (word << 4);
    setRegister(at, register(at) | bits);
    highest = (word << 5) + 31 - clz<u32>(bits);
  }
  setStatus(max<u32>(rvi(), highest), svi());
  evaluate();
  return true;
}

// "Virtualizing CR8-Based TPR Accesses" -------------------------------------------------------------------------------

/** MOV to CR8 under the TPR shadow; false where CR8 is the processor's own. */
export function writeVirtualTpr(value: u64): bool {
  if (!tprShadow()) return false;
  setRegister(TPR, <u32>value << 4);
  virtualizeTpr();
  cpu.attention |= ATTENTION_VIRTUALIZATION;
  return true;
}

/** MOV from CR8 under the TPR shadow; all ones where CR8 is the processor's own. */
export function readVirtualTpr(): u64 {
  return tprShadow() ? (register(TPR) >> 4) & 15 : u64.MAX_VALUE;
}

/** "VM Exits Induced by the TPR Threshold": with virtualize APIC accesses an entry may find VTPR below it. */
export function checkThresholdAtEntry(): void {
  const virtualized = secondary(X.VIRTUALIZE_APIC_ACCESSES) && !secondary(X.VIRTUAL_INTERRUPT_DELIVERY);
  if (tprShadow() && virtualized) virtualizeTpr();
}

// "Virtualizing Memory-Mapped APIC Accesses" --------------------------------------------------------------------------

/** Number of the APIC-access page, marked; 0 without one. It tells translations apart, too. */
export function apicAccessPage(): u64 {
  if (!secondary(X.VIRTUALIZE_APIC_ACCESSES)) return 0;
  return (read(F.APIC_ACCESS_ADDRESS) >> 12) | VIRTUALIZED;
}

function isApicAccessPage(physical: u64): bool {
  return ((physical >> 12) | VIRTUALIZED) == vmx.apicPage;
}

/**
 * Where an access by linear address goes: the same physical address, the virtual-APIC page in place of the APIC-access
 * page, or NO_ADDRESS with an APIC-access exit pending.
 */
export function redirectApicAccess(physical: u64, bytes: u32, access: u32): u64 {
  if (!isApicAccessPage(physical) || (access & ACCESS_PROBE) != 0) return physical;
  const offset = <u32>physical & 0xfff;
  const writes = (access & ACCESS_WRITE) != 0;
  const fetches = (access & ACCESS_FETCH) != 0;
  // Neither fetches, nor more than 32 bits, nor bytes beyond the low four of a register are virtualized.
  const inRegister = bytes <= 4 && (offset & 15) + bytes <= 4;
  const other = vmx.apicWrite != 0 && (!writes || vmx.apicWrite != (WRITTEN | offset));
  const known = writes ? writeIsVirtualized(offset) : readIsVirtualized(offset);
  if (!tprShadow() || fetches || !inRegister || other || !known) {
    let type = fetches ? ACCESS_TYPE_FETCH : writes ? ACCESS_TYPE_WRITE : ACCESS_TYPE_READ;
    if (cpu.delivering != 0) type = ACCESS_TYPE_DELIVERY;
    exitForAccess(offset, type);
    return NO_ADDRESS;
  }
  if (writes) {
    vmx.apicWrite = WRITTEN | offset;
    cpu.attention |= ATTENTION_VIRTUALIZATION;
  }
  return read(F.VIRTUAL_APIC_ADDRESS) + offset;
}

function exitForAccess(offset: u32, type: u64): void {
  vmx.apicWrite = 0;
  exitBecause(X.EXIT_APIC_ACCESS, X.CAUSE_VIRTUALIZE_APIC_ACCESSES, <u64>offset | (type << 12));
  exitAfterAccess();
}

/** "Guest-Physical Accesses to the APIC-Access Page": those to paging structures. True with an exit pending. */
export function exitsForPhysicalAccess(physical: u64): bool {
  if (!isApicAccessPage(physical)) return false;
  const delivery = cpu.delivering != 0;
  exitForAccess(<u32>physical & 0xfff, delivery ? ACCESS_TYPE_PHYSICAL_DELIVERY : ACCESS_TYPE_PHYSICAL);
  return true;
}

/** "Determining Whether a Read Access is Virtualized". */
function readIsVirtualized(offset: u32): bool {
  if (!secondary(X.APIC_REGISTER_VIRTUALIZATION)) return offset == TPR;
  const at = offset & 0xff0;
  return at == VERSION || (at >= ISR && at < ERROR_STATUS) || isWritable(at);
}

/** "Determining Whether a Write Access is Virtualized". */
function writeIsVirtualized(offset: u32): bool {
  const at = offset & 0xff0;
  if (secondary(X.APIC_REGISTER_VIRTUALIZATION)) return isWritable(at);
  if (offset == TPR) return true;
  return secondary(X.VIRTUAL_INTERRUPT_DELIVERY) && (offset == EOI || offset == ICR_LOW);
}

function isWritable(at: u32): bool {
  if (at == ID || at == TPR || at == EOI || at == LOGICAL_DESTINATION || at == DESTINATION_FORMAT) return true;
  if (at == SPURIOUS || at == ERROR_STATUS || at == ICR_LOW || at == ICR_HIGH || at == DIVIDE) return true;
  return at >= LVT_FIRST && at <= INITIAL_COUNT;
}

/** "APIC-Write Emulation", after the instruction that wrote. True when it exits. */
export function emulateApicWrite(): bool {
  const offset = vmx.apicWrite & 0xfff;
  vmx.apicWrite = 0;
  const at = offset & 0xff0;
  const delivers = secondary(X.VIRTUAL_INTERRUPT_DELIVERY);
  if (at == TPR) {
    setRegister(TPR, register(TPR) & 0xff);
    virtualizeTpr();
    return false;
  }
  if (at == EOI && delivers) {
    setRegister(EOI, 0);
    return virtualizeEoi();
  }
  if (at == ICR_HIGH) {
    setRegister(ICR_HIGH, register(ICR_HIGH) & 0xff000000);
    return false;
  }
  const command = register(at);
  if (delivers && (at == ICR_LOW ? isSelfIpi(command) : at == SELF_IPI && command >= FIRST_VECTOR)) {
    virtualizeSelfIpi(command & 0xff);
    return false;
  }
  return exitForApicWrite(offset);
}

/** Shorthand "self", edge, fixed, idle, no reserved bit, and a vector of 16 or more. */
function isSelfIpi(command: u32): bool {
  return (command & ~0x48ff) == 0x40000 && (command & 0xff) >= FIRST_VECTOR;
}

function exitForApicWrite(offset: u32): bool {
  return exitAfterInstruction(X.EXIT_APIC_WRITE, X.CAUSE_APIC_REGISTER_VIRTUALIZATION, offset);
}

// "Virtualizing MSR-Based APIC Accesses" ------------------------------------------------------------------------------

export const MSR_NORMAL: u32 = 0;
export const MSR_DONE: u32 = 1;
export const MSR_FAULT: u32 = 2;

/** RDMSR of 800H to 8FFH in x2APIC mode virtualized: the value is read from the virtual-APIC page. */
export function readsVirtualMsr(address: u32): bool {
  if (!secondary(X.VIRTUALIZE_X2APIC_MODE)) return false;
  return secondary(X.APIC_REGISTER_VIRTUALIZATION) || offsetOfMsr(address) == TPR;
}

export function virtualMsr(address: u32): u64 {
  return physicalRead(read(F.VIRTUAL_APIC_ADDRESS) + offsetOfMsr(address), 8);
}

function offsetOfMsr(address: u32): u32 {
  return (address & 0xff) << 4;
}

/** WRMSR of 800H to 8FFH: whether it is virtualized, and whether the value faults. */
export function writeVirtualMsr(address: u32, value: u64): u32 {
  if (!secondary(X.VIRTUALIZE_X2APIC_MODE)) return MSR_NORMAL;
  const offset = offsetOfMsr(address);
  const delivers = secondary(X.VIRTUAL_INTERRUPT_DELIVERY);
  if (offset != TPR && !(delivers && (offset == EOI || offset == SELF_IPI))) return MSR_NORMAL;
  if (offset == EOI ? value != 0 : value >> 8 != 0) return MSR_FAULT;
  physicalWrite(read(F.VIRTUAL_APIC_ADDRESS) + offset, value, 8);
  cpu.attention |= ATTENTION_VIRTUALIZATION;
  if (offset == TPR) virtualizeTpr();
  else vmx.apicWrite = WRITTEN | offset;
  return MSR_DONE;
}
