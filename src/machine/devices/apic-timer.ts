// The timer of a local APIC: one-shot, periodic, TSC deadline (Intel SDM vol. 3A, "APIC Timer"). Its bus clock ticks once
// for each retired instruction.

import type { Alarm, Clock } from "./clock.js";

const modes = { oneShot: 0, periodic: 1, deadline: 2 } as const;

export interface TimerSurroundings {
  /** The time-stamp counter. */
  timeStamp(): bigint;
  /** The count or the deadline has come. */
  elapsed(): void;
}

/** State for a snapshot. */
export interface ApicTimerState {
  readonly mode: number;
  readonly divide: number;
  readonly initialCount: number;
  readonly running: boolean;
  readonly count: bigint;
  readonly since: bigint;
  readonly deadline: bigint;
}

const atReset: ApicTimerState = {
  mode: modes.oneShot,
  divide: 0,
  initialCount: 0,
  running: false,
  count: 0n,
  since: 0n,
  deadline: 0n,
};

export class ApicTimer {
  readonly #clock: Clock;
  readonly #outside: TimerSurroundings;
  readonly #alarm: Alarm;
  #mode = 0;
  #divide = 0;
  #initialCount = 0;
  /** The count stood at `#count` at the time `#since`, and goes on from there. */
  #running = false;
  #count = 0n;
  #since = 0n;
  #deadline = 0n;

  constructor(clock: Clock, outside: TimerSurroundings) {
    this.#clock = clock;
    this.#outside = outside;
    this.#alarm = clock.alarm((now) => this.#rings(now));
  }

  reset(): void {
    this.restore(atReset);
  }

  save(): ApicTimerState {
    return {
      mode: this.#mode,
      divide: this.#divide,
      initialCount: this.#initialCount,
      running: this.#running,
      count: this.#count,
      since: this.#since,
      deadline: this.#deadline,
    };
  }

  restore(state: ApicTimerState): void {
    this.#mode = state.mode;
    this.#divide = state.divide;
    this.#initialCount = state.initialCount;
    this.#running = state.running;
    this.#count = state.count;
    this.#since = state.since;
    this.#deadline = state.deadline;
    this.#setAlarm();
  }

  /** Bits 18:17 of the timer's entry. Between the count and the deadline modes the timer disarms. */
  set mode(value: number) {
    const disarms = value !== this.#mode && (value === modes.deadline || this.#mode === modes.deadline);
    this.#rebase();
    this.#mode = value;
    if (disarms) {
      this.#initialCount = 0;
      this.#running = false;
      this.#deadline = 0n;
    }
    this.#setAlarm();
  }

  get divide(): number {
    return this.#divide;
  }

  /** A new divisor counts from now on. */
  set divide(value: number) {
    this.#rebase();
    this.#divide = value;
    this.#setAlarm();
  }

  get initialCount(): number {
    return this.#initialCount;
  }

  /** Starts the count; zero stops it. In TSC-deadline mode writes are ignored. */
  set initialCount(value: number) {
    if (this.#mode === modes.deadline) return;
    this.#initialCount = value;
    this.#count = BigInt(value);
    this.#since = this.#clock.now;
    this.#running = value !== 0;
    this.#setAlarm();
  }

  /** A count that has run down stays at zero until the initial count is written again. */
  get currentCount(): number {
    if (!this.#running) return 0;
    const ticks = (this.#clock.now - this.#since) / this.#divisor;
    if (ticks < this.#count) return Number(this.#count - ticks);
    if (this.#mode !== modes.periodic) return 0;
    const period = BigInt(this.#initialCount);
    return Number(period - ((ticks - this.#count) % period));
  }

  /** IA32_TSC_DEADLINE: zero disarms; elsewhere than in TSC-deadline mode it reads as zero and writes do nothing. */
  get deadline(): bigint {
    return this.#deadline;
  }

  set deadline(value: bigint) {
    if (this.#mode !== modes.deadline) return;
    this.#deadline = value;
    this.#setAlarm();
  }

  /** The time-stamp counter was written. */
  timeStampChanged(): void {
    if (this.#deadline !== 0n) this.#setAlarm();
  }

  /** Divide configuration: bits 3, 1 and 0 choose 2, 4, … 128, and 1. */
  get #divisor(): bigint {
    const choice = (this.#divide & 3) | ((this.#divide >> 1) & 4);
    return choice === 7 ? 1n : 2n << BigInt(choice);
  }

  /** The count as it stands becomes what it goes on from. */
  #rebase(): void {
    if (!this.#running) return;
    this.#count = BigInt(this.currentCount);
    this.#since = this.#clock.now;
  }

  #setAlarm(): void {
    const now = this.#clock.now;
    let due: bigint | undefined;
    if (this.#deadline !== 0n) {
      const wait = this.#deadline - this.#outside.timeStamp();
      due = wait > 0n ? now + wait : now;
    } else if (this.#running) due = this.#since + this.#count * this.#divisor;
    this.#clock.set(this.#alarm, due);
  }

  #rings(now: bigint): void {
    if (this.#mode === modes.deadline) this.#deadline = 0n;
    else if (this.#mode === modes.periodic) {
      this.#count = BigInt(this.currentCount);
      this.#since = now - ((now - this.#since) % this.#divisor);
      this.#setAlarm();
    } else this.#running = false;
    this.#outside.elapsed();
  }
}
