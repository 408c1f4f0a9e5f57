// Virtual time as devices see it, and their alarms.
//
// Time is the count of retired instructions (docs/decisions/0004): one instruction is one nanosecond of nominal time,
// and a halt skips to the next alarm. The machine knows one deadline; this keeps the least of all alarms there.

import type { Device } from "../device.js";

/** Nominal instructions in a second: how virtual time is told in seconds, hertz and ticks of other clocks. */
export const instructionsPerSecond = 1_000_000_000n;

/** The part of a machine that a clock needs. */
export interface TimeSource {
  readonly retired: bigint;
  setDeadline(retired: bigint | undefined): void;
}

/** Calls back once, when virtual time has reached `due`. */
export interface Alarm {
  due: bigint | undefined;
  readonly ring: (now: bigint) => void;
}

export class Clock implements Device {
  readonly name = "clock";
  readonly #machine: TimeSource;
  readonly #alarms: Alarm[] = [];

  constructor(machine: TimeSource) {
    this.#machine = machine;
  }

  get now(): bigint {
    return this.#machine.retired;
  }

  /** Registers an alarm, not set; one for each timer of a device. */
  alarm(ring: (now: bigint) => void): Alarm {
    const alarm = { due: undefined, ring };
    this.#alarms.push(alarm);
    return alarm;
  }

  /** Sets an alarm to a virtual time, or off. */
  set(alarm: Alarm, due: bigint | undefined): void {
    alarm.due = due;
    this.#announce();
  }

  elapsed(retired: bigint): void {
    for (const alarm of this.#alarms) {
      if (alarm.due === undefined || alarm.due > retired) continue;
      alarm.due = undefined;
      alarm.ring(retired);
    }
    this.#announce();
  }

  mayWake(): boolean {
    return this.#alarms.some((alarm) => alarm.due !== undefined);
  }

  reset(): void {
    for (const alarm of this.#alarms) alarm.due = undefined;
    this.#announce();
  }

  /** Who owns an alarm sets it again. */
  save(): undefined {
    return undefined;
  }

  #announce(): void {
    let least: bigint | undefined;
    for (const { due } of this.#alarms) if (due !== undefined && (least === undefined || due < least)) least = due;
    this.#machine.setDeadline(least);
  }
}
