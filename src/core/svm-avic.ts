// The advanced virtual interrupt controller: registers of the guest's local APIC in a backing page, IPIs between virtual
// processors, interrupts without the hypervisor. AMD APM vol. 2, chapter "Secure Virtual Machine", "Advanced Virtual
// Interrupt Controller".
//
// The manual's text of this section was not at hand. Secondary: bits of the tables' entries, causes of incomplete IPIs and
// fields of EXITINFO are those of the Linux kernel's arch/x86/include/asm/svm.h; which register does what follows the
// manual's table as its avic.c quotes it.
//
// There is one processor: a doorbell to another rings nowhere, one to itself makes it look at its own backing page.

import { FEATURE_AVIC } from "./decode-table.generated";
import { ATTENTION_VIRTUALIZATION, cpu } from "./layout.generated";
import { ACCESS_PROBE, ACCESS_WRITE } from "./paging";
import { physicalRead, physicalWrite } from "./physical";
import { NO_ADDRESS, hasFeature } from "./state";
import { exitSvm } from "./svm-exit";
import * as S from "./svm-facts.generated";
import { V_AVIC, svm, vintr, vmcb64 } from "./svm-state";

const PAGE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

// Offsets of registers in the page.
const APIC_ID: u32 = 0x20;
const TPR: u32 = 0x80;
const PPR: u32 = 0xa0;
const EOI: u32 = 0xb0;
const DFR: u32 = 0xe0;
const ISR: u32 = 0x100;
const TMR: u32 = 0x180;
const IRR: u32 = 0x200;
const ICR_LOW: u32 = 0x300;
const ICR_HIGH: u32 = 0x310;

// What an access to a register does ("Guest vAPIC Register Access Behavior").
const ALLOWED: u32 = 0;
const FAULT: u32 = 1;
const TRAP: u32 = 2;
const ACCELERATED: u32 = 3;

// EXITINFO2 bits 63:32 of #VMEXIT(AVIC_INCOMPLETE_IPI).
const INVALID_INTERRUPT_TYPE: u64 = 0;
const TARGET_NOT_RUNNING: u64 = 1;
const INVALID_TARGET: u64 = 2;
const INVALID_BACKING_PAGE: u64 = 3;
const INVALID_VECTOR: u64 = 4;

/** An APIC ID that no entry has. */
const NOBODY: u32 = 0x100;

// Entries of the physical APIC ID table (64 bits) and of the logical one (32 bits).
const ENTRY_VALID: u64 = 1 << 63;
const ENTRY_RUNNING: u64 = 1 << 62;
const LOGICAL_VALID: u64 = 1 << 31;

/** True when the VMCB asks for the AVIC and the model has it. */
export function avicEnabled(): bool {
  return vintr(V_AVIC) && hasFeature(FEATURE_AVIC);
}

/** Rule of VMRUN: the backing page and both tables have addresses that the processor can reach. */
export function avicPointersFit(): bool {
  const width = <u64>cpu.physicalAddressBits;
  const all =
    vmcb64(S.VMCB_AVIC_BACKING_PAGE) | vmcb64(S.VMCB_AVIC_LOGICAL_TABLE) | vmcb64(S.VMCB_AVIC_PHYSICAL_TABLE);
  return (all & PAGE_ADDRESS) >> width == 0;
}

function backingPage(): u64 {
  return vmcb64(S.VMCB_AVIC_BACKING_PAGE) & PAGE_ADDRESS;
}

function register(page: u64, offset: u32): u32 {
  return <u32>physicalRead(page + offset, 4);
}

function setRegister(page: u64, offset: u32, value: u32): void {
  physicalWrite(page + offset, value, 4);
}

/** The register that holds a vector's bit in ISR, TMR or IRR. */
function wordOf(base: u32, vector: u32): u32 {
  return base + ((vector >> 5) << 4);
}

function hasVector(page: u64, base: u32, vector: u32): bool {
  return ((register(page, wordOf(base, vector)) >> (vector & 31)) & 1) != 0;
}

function changeVector(page: u64, base: u32, vector: u32, set: bool): void {
  const at = wordOf(base, vector);
  const bit: u32 = 1 << (vector & 31);
  const old = register(page, at);
  setRegister(page, at, set ? old | bit : old & ~bit);
}

/** The highest vector in ISR or IRR, or 0. */
function highestVector(page: u64, base: u32): u32 {
  for (let word: i32 = 7; word >= 0; word--) {
    const bits = register(page, base + (<u32>word << 4));
    if (bits != 0) return ((<u32>word) << 5) + 31 - clz<u32>(bits);
  }
  return 0;
}

function updatePriority(page: u64): u32 {
  const task = register(page, TPR) & 0xff;
  const service = highestVector(page, ISR);
  const priority = task >> 4 >= service >> 4 ? task : service & 0xf0;
  setRegister(page, PPR, priority);
  return priority;
}

// Accesses to the page ------------------------------------------------------------------------------------------------

function readKind(offset: u32): u32 {
  if (offset == APIC_ID || offset == 0x30 || offset == TPR || offset == PPR) return ALLOWED;
  if (offset >= 0xd0 && offset <= 0x280) return ALLOWED;
  if (offset >= ICR_LOW && offset <= 0x380) return ALLOWED;
  return offset == 0x3e0 ? ALLOWED : FAULT;
}

function writeKind(offset: u32): u32 {
  if (offset == TPR || offset == EOI || offset == ICR_LOW) return ACCELERATED;
  if (offset == ICR_HIGH) return ALLOWED;
  if (offset == APIC_ID || (offset >= 0xc0 && offset <= 0xf0) || offset == 0x280) return TRAP;
  return (offset >= 0x320 && offset <= 0x380) || offset == 0x3e0 ? TRAP : FAULT;
}

function notAccelerated(offset: u32, write: bool, vector: u32): bool {
  const info: u64 = (<u64>(write ? 1 : 0) << 32) | offset;
  return exitSvm(S.VMEXIT_AVIC_NOACCEL, 0, info, vector);
}

/** Where the last access looked at was led by the AVIC. */
let redirected: bool = false;

// @ts-ignore: decorator
@inline
export function avicTookAccess(): bool {
  return redirected;
}

/**
 * Where an access of a guest with AVIC goes that the nested tables have let pass to `physical`: on the page of its local
 * APIC to the backing page, or nowhere (NO_ADDRESS) with an exit pending.
 */
export function redirectAvicAccess(guestPhysical: u64, physical: u64, access: u32): u64 {
  redirected = (guestPhysical & PAGE_ADDRESS) == (vmcb64(S.VMCB_AVIC_APIC_BAR) & PAGE_ADDRESS);
  if (!redirected || (access & ACCESS_PROBE) != 0) return physical;
  const offset = (<u32>guestPhysical) & 0xff0;
  const write = (access & ACCESS_WRITE) != 0;
  const kind = write ? writeKind(offset) : readKind(offset);
  if (kind == FAULT) {
    notAccelerated(offset, write, 0);
    return NO_ADDRESS;
  }
  if (kind != ALLOWED) {
    // What follows the write follows its instruction.
    svm.avicWrite = offset + 1;
    cpu.attention |= ATTENTION_VIRTUALIZATION;
  }
  return backingPage() | (guestPhysical & 0xfff);
}

/** After an instruction that wrote to the page: acceleration, or an exit as a trap. True: look again. */
export function afterAvicWrite(): bool {
  const offset = svm.avicWrite - 1;
  svm.avicWrite = 0;
  const page = backingPage();
  if (offset == TPR) {
    updatePriority(page);
    return false;
  }
  if (offset == EOI) return endOfInterrupt(page);
  if (offset == ICR_LOW) return sendInterrupt(page);
  notAccelerated(offset, true, 0);
  svm.afterInstruction = 1;
  return true;
}

function endOfInterrupt(page: u64): bool {
  const vector = highestVector(page, ISR);
  if (vector == 0) return false;
  if (hasVector(page, TMR, vector)) {
    notAccelerated(EOI, true, vector);
    svm.afterInstruction = 1;
    return true;
  }
  changeVector(page, ISR, vector, false);
  updatePriority(page);
  return false;
}

// Interprocessor interrupts -------------------------------------------------------------------------------------------

function incomplete(page: u64, reason: u64, index: u32): bool {
  const command = (<u64>register(page, ICR_HIGH) << 32) | register(page, ICR_LOW);
  exitSvm(S.VMEXIT_AVIC_INCOMPLETE_IPI, 0, command, (reason << 32) | index);
  svm.afterInstruction = 1;
  return true;
}

/** Set while an IPI is sent: a target that is not running, and its index. */
let notRunning: bool = false;
let notRunningIndex: u32 = 0;

/** A fixed, edge-triggered IPI of the command register. True when it ended in an exit. */
function sendInterrupt(page: u64): bool {
  const command = register(page, ICR_LOW);
  const vector = command & 0xff;
  // Other delivery modes and level-triggered messages are the hypervisor's.
  if ((command & 0x8700) != 0) return incomplete(page, INVALID_INTERRUPT_TYPE, 0);
  if (vector < 16) return incomplete(page, INVALID_VECTOR, 0);
  const own = register(page, APIC_ID) >> 24;
  const destination = register(page, ICR_HIGH) >> 24;
  const shorthand = (command >> 18) & 3;
  notRunning = false;
  if (shorthand == 1) {
    changeVector(page, TMR, vector, false);
    changeVector(page, IRR, vector, true);
    return false;
  }
  let failed = false;
  const logical = (command & 0x800) != 0;
  if (shorthand != 0 || (destination == 0xff && !logical)) broadcast(vector, shorthand == 3 ? own : NOBODY);
  else if (!logical) failed = sendTo(page, destination, vector);
  else failed = sendLogical(page, destination, vector);
  if (failed) return true;
  return notRunning && incomplete(page, TARGET_NOT_RUNNING, notRunningIndex);
}

function physicalEntry(index: u32): u64 {
  const field = vmcb64(S.VMCB_AVIC_PHYSICAL_TABLE);
  if (index > (<u32>field & 0xff)) return 0;
  return physicalRead((field & PAGE_ADDRESS) + (index << 3), 8);
}

/** Every valid entry but one. */
function broadcast(vector: u32, excluded: u32): void {
  const last = <u32>vmcb64(S.VMCB_AVIC_PHYSICAL_TABLE) & 0xff;
  for (let index: u32 = 0; index <= last; index++) {
    const entry = physicalEntry(index);
    if (index != excluded && (entry & ENTRY_VALID) != 0) deliverTo(entry, index, vector);
  }
}

/** One target by physical APIC ID. True when it ended in an exit. */
function sendTo(page: u64, index: u32, vector: u32): bool {
  const entry = physicalEntry(index);
  if ((entry & ENTRY_VALID) == 0) return incomplete(page, INVALID_TARGET, index);
  if ((entry & PAGE_ADDRESS) >> cpu.physicalAddressBits != 0) return incomplete(page, INVALID_BACKING_PAGE, index);
  deliverTo(entry, index, vector);
  return false;
}

/** Every target of a logical address, in the flat or in the cluster model. True when it ended in an exit. */
function sendLogical(page: u64, destination: u32, vector: u32): bool {
  const flat = register(page, DFR) >> 28 == 0xf;
  const table = vmcb64(S.VMCB_AVIC_LOGICAL_TABLE) & PAGE_ADDRESS;
  const bits = flat ? destination : destination & 15;
  const first: u32 = flat ? 0 : (destination >> 4) << 2;
  for (let bit: u32 = 0; bit < 8; bit++) {
    if (((bits >> bit) & 1) == 0) continue;
    const index = first + bit;
    const entry = physicalRead(table + (index << 2), 4);
    if ((entry & LOGICAL_VALID) == 0) return incomplete(page, INVALID_TARGET, index);
    if (sendTo(page, <u32>entry & 0xff, vector)) return true;
  }
  return false;
}

function deliverTo(entry: u64, index: u32, vector: u32): void {
  const page = entry & PAGE_ADDRESS;
  changeVector(page, TMR, vector, false);
  changeVector(page, IRR, vector, true);
  if ((entry & ENTRY_RUNNING) != 0) return;
  notRunning = true;
  notRunningIndex = index;
}

// Interrupts of the guest ---------------------------------------------------------------------------------------------

/** The vector that the guest's APIC would deliver now, or 0. */
export function avicPending(): u32 {
  const page = backingPage();
  const vector = highestVector(page, IRR);
  return vector >> 4 > updatePriority(page) >> 4 ? vector : 0;
}

/** The guest takes a vector: from IRR to ISR. */
export function avicTake(vector: u32): void {
  const page = backingPage();
  changeVector(page, IRR, vector, false);
  changeVector(page, ISR, vector, true);
  updatePriority(page);
}

/** CR8 is the upper half of the backing page's TPR. */
export function readAvicTpr(): u64 {
  return (register(backingPage(), TPR) >> 4) & 15;
}

export function writeAvicTpr(value: u64): void {
  const page = backingPage();
  setRegister(page, TPR, <u32>value << 4);
  updatePriority(page);
  cpu.attention |= ATTENTION_VIRTUALIZATION;
}
