// Time in a guest: TSC offsetting and scaling, and the VMX-preemption timer, which counts with the time-stamp counter.
// Intel SDM vol. 3, chapter "VMX Non-Root Operation", "Changes to Instruction Behavior", "VMX-Preemption Timer".

import { cpu } from "./layout.generated";
import { timeStamp } from "./msr";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { read, read32, vmx, write } from "./vmx-state";

/** IA32_VMX_MISC bits 4:0: the timer counts once when this bit of the time-stamp counter changes. */
function timerShift(): u64 {
  return vmx.misc & 31;
}

export function timerActive(): bool {
  return (vmx.pin & X.ACTIVATE_VMX_PREEMPTION_TIMER) != 0;
}

/** VM entry starts the timer. */
export function startPreemptionTimer(): void {
  if (!timerActive()) return;
  vmx.timerEnd = (timeStamp() >> timerShift()) + <u64>read32(F.VMX_PREEMPTION_TIMER_VALUE);
}

/** The time-stamp counter was written: the timer counts its increments and does not jump with it. */
export function moveTimer(before: u64, after: u64): void {
  vmx.timerEnd += (after >> timerShift()) - (before >> timerShift());
}

/** True when the timer has counted down to 0. */
export function timerExpired(): bool {
  return timerActive() && timeStamp() >> timerShift() >= vmx.timerEnd;
}

/** While the guest is halted, nothing but time passes: goes on to the end of the timer where that comes first. */
export function skipToTimerEnd(): void {
  const end = (vmx.timerEnd << timerShift()) - timeStamp() + cpu.retired;
  if (end <= cpu.deadline && end <= cpu.budgetEnd) cpu.retired = end;
}

/** VM exit stops it and, where asked, saves what is left. */
export function stopPreemptionTimer(): void {
  if ((vmx.exit & X.SAVE_VMX_PREEMPTION_TIMER_VALUE) == 0) return;
  const now = timeStamp() >> timerShift();
  write(F.VMX_PREEMPTION_TIMER_VALUE, now >= vmx.timerEnd ? 0 : vmx.timerEnd - now);
}

/** What a guest reads as time-stamp counter: scaled by a multiplier with 48 fraction bits, then offset. */
export function guestTimeStamp(value: u64): u64 {
  if ((vmx.primary & X.USE_TSC_OFFSETTING) == 0) return value;
  if ((vmx.secondary & X.USE_TSC_SCALING) == 0) return value + read(F.TSC_OFFSET);
  return scale(value, read(F.TSC_MULTIPLIER)) + read(F.TSC_OFFSET);
}

/** Bits 111:48 of the product. */
function scale(value: u64, multiplier: u64): u64 {
  const low = (value & 0xffffffff) * (multiplier & 0xffffffff);
  const middle1 = (value >> 32) * (multiplier & 0xffffffff) + (low >> 32);
  const middle2 = (value & 0xffffffff) * (multiplier >> 32) + (middle1 & 0xffffffff);
  const high = (value >> 32) * (multiplier >> 32) + (middle1 >> 32) + (middle2 >> 32);
  const bottom = (middle2 << 32) | (low & 0xffffffff);
  return (high << 16) | (bottom >> 48);
}
