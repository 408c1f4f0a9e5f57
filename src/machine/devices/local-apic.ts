// The local APIC of one processor: Intel SDM vol. 3, chapter "Advanced Programmable Interrupt Controller (APIC)".
// xAPIC registers at their page, and the same registers as MSRs 800H and up in x2APIC mode.
//
// There is one processor, so messages to others are accepted and go nowhere. The timer's bus clock ticks once for
// each retired instruction. The page stays at its usual address: relocation through IA32_APIC_BASE is not followed.

import type { Device } from "../device.js";
import type { Alarm, Clock } from "./clock.js";
import { VectorSet } from "./vector-set.js";

/** What the APIC needs of its processor and of the board. */
export interface ApicSurroundings {
  /** CR8, which is the task-priority class. */
  taskPriorityClass(): number;
  setTaskPriorityClass(value: number): void;
  /** IA32_APIC_BASE. */
  apicBase(): bigint;
  /** The time-stamp counter. */
  timeStamp(): bigint;
  /** INTR of the processor. */
  setInterrupt(asserted: boolean): void;
  raiseNmi(): void;
  /** INIT, or a start-up message with its vector. */
  raiseInit(startupVector?: number): void;
  /** The 8259 pair: its line, and its acknowledge cycle. */
  externalPending(): boolean;
  acknowledgeExternal(): number;
  /** End of a level-triggered interrupt, for the I/O APIC. */
  endOfInterrupt(vector: number): void;
}

export const apicPage = 0xfee0_0000;
const deadlineMsr = 0x6e0;

/** Register offsets in the page; the x2APIC MSR is 800H plus the offset divided by 16. */
const register = {
  id: 0x20,
  version: 0x30,
  taskPriority: 0x80,
  arbitrationPriority: 0x90,
  processorPriority: 0xa0,
  endOfInterrupt: 0xb0,
  logicalDestination: 0xd0,
  destinationFormat: 0xe0,
  spurious: 0xf0,
  inService: 0x100,
  triggerMode: 0x180,
  request: 0x200,
  errorStatus: 0x280,
  commandLow: 0x300,
  commandHigh: 0x310,
  timer: 0x320,
  thermal: 0x330,
  performance: 0x340,
  lint0: 0x350,
  lint1: 0x360,
  error: 0x370,
  initialCount: 0x380,
  currentCount: 0x390,
  divide: 0x3e0,
  selfInterrupt: 0x3f0,
} as const;

/** Version 14H, six local vector table entries. */
const versionValue = 0x0005_0014;
const masked = 0x1_0000;
const softwareEnable = 0x100;
const delivery = { fixed: 0, lowest: 1, smi: 2, nmi: 4, init: 5, startUp: 6, external: 7 } as const;
const timerModes = { oneShot: 0, periodic: 1, deadline: 2 } as const;
const errors = { sendIllegalVector: 0x20, receivedIllegalVector: 0x40, illegalRegister: 0x80 } as const;
const baseEnable = 1n << 11n;
const baseX2 = 1n << 10n;

/** Writable bits of the local vector table entries. */
const localVectors = new Map<number, number>([
  [register.timer, 0x7_00ff],
  [register.thermal, 0x1_07ff],
  [register.performance, 0x1_07ff],
  [register.lint0, 0x1_a7ff],
  [register.lint1, 0x1_a7ff],
  [register.error, 0x1_00ff],
]);

export class LocalApic implements Device {
  readonly name = "local APIC";
  readonly memory = [[apicPage, apicPage + 0xfff]] as const;
  readonly msrs = [
    [0x800, 0x8ff],
    [deadlineMsr, deadlineMsr],
  ] as const;
  readonly #clock: Clock;
  readonly #outside: ApicSurroundings;
  readonly #alarm: Alarm;
  readonly #request = new VectorSet();
  readonly #inService = new VectorSet();
  readonly #levelTriggered = new VectorSet();
  readonly #localVector = new Map<number, number>();
  #taskPriority = 0;
  #spurious = 0xff;
  #logicalDestination = 0;
  #destinationFormat = 0xffff_ffff;
  #commandLow = 0;
  #commandHigh = 0;
  #divide = 0;
  #initialCount = 0;
  #countStarted = 0n;
  #deadline = 0n;
  #errorsSeen = 0;
  #errorsShown = 0;

  constructor(clock: Clock, outside: ApicSurroundings) {
    this.#clock = clock;
    this.#outside = outside;
    this.#alarm = clock.alarm((now) => this.#timerElapsed(now));
  }

  /** As the firmware of a PC leaves it: enabled, the 8259 pair through LINT0 ("virtual wire"), NMI at LINT1. */
  reset(): void {
    this.#request.clear();
    this.#inService.clear();
    this.#levelTriggered.clear();
    for (const offset of localVectors.keys()) this.#localVector.set(offset, masked);
    this.#localVector.set(register.lint0, delivery.external << 8);
    this.#localVector.set(register.lint1, delivery.nmi << 8);
    this.#taskPriority = 0;
    this.#spurious = softwareEnable | 0xff;
    this.#logicalDestination = 0;
    this.#destinationFormat = 0xffff_ffff;
    this.#commandLow = 0;
    this.#commandHigh = 0;
    this.#divide = 0;
    this.#initialCount = 0;
    this.#deadline = 0n;
    this.#errorsSeen = 0;
    this.#errorsShown = 0;
  }

  readMemory(address: number, bytes: number): bigint {
    if (!this.#enabled || this.#x2Mode) return -1n;
    const offset = address & 0xff0;
    const shift = BigInt((address & 0xf) * 8);
    return BigInt.asUintN(bytes * 8, BigInt(this.readRegister(offset) >>> 0) >> shift);
  }

  writeMemory(address: number, value: bigint): void {
    if (!this.#enabled || this.#x2Mode || (address & 0xf) !== 0) return;
    this.writeRegister(address & 0xff0, Number(value & 0xffff_ffffn));
  }

  /** IA32_TSC_DEADLINE, and 800H to 8FFH in x2APIC mode; undefined where RDMSR raises #GP(0). */
  readMsr(address: number): bigint | undefined {
    if (address === deadlineMsr) return this.tscDeadline;
    if (!this.#x2Mode) return undefined;
    const offset = (address & 0xff) << 4;
    if (offset === register.commandLow) return (BigInt(this.#commandHigh >>> 0) << 32n) | BigInt(this.#commandLow);
    if (!readableMsr(offset)) return undefined;
    return BigInt(this.readRegister(offset) >>> 0);
  }

  /** False where WRMSR raises #GP(0). */
  writeMsr(address: number, value: bigint): boolean {
    if (address === deadlineMsr) {
      this.tscDeadline = value;
      return true;
    }
    if (!this.#x2Mode) return false;
    const offset = (address & 0xff) << 4;
    if (offset === register.commandLow) {
      this.#commandHigh = Number(value >> 32n);
      this.writeRegister(offset, Number(value & 0xffff_ffffn));
      return true;
    }
    if (!writableMsr(offset) || value > 0xffff_ffffn) return false;
    const mustBeZero = offset === register.endOfInterrupt || offset === register.errorStatus;
    if (mustBeZero && value !== 0n) return false;
    this.writeRegister(offset, Number(value));
    return true;
  }

  readRegister(offset: number): number {
    const local = this.#localVector.get(offset);
    if (local !== undefined) return local;
    if (offset >= register.inService && offset < register.errorStatus) return this.#vectorWord(offset);
    switch (offset) {
      case register.id:
      case register.arbitrationPriority:
        return 0;
      case register.version:
        return versionValue;
      case register.taskPriority:
        return this.#currentTaskPriority();
      case register.processorPriority:
        return this.#processorPriority();
      case register.logicalDestination:
        // In x2APIC mode it follows from the identifier: cluster 0, first in it.
        return this.#x2Mode ? 1 : this.#logicalDestination;
      case register.destinationFormat:
        return this.#destinationFormat;
      case register.spurious:
        return this.#spurious;
      case register.errorStatus:
        return this.#errorsShown;
      case register.commandLow:
        return this.#commandLow;
      case register.commandHigh:
        return this.#commandHigh;
      case register.initialCount:
        return this.#initialCount;
      case register.currentCount:
        return this.#currentCount();
      case register.divide:
        return this.#divide;
      default:
        this.#noteError(errors.illegalRegister);
        return 0;
    }
  }

  writeRegister(offset: number, value: number): void {
    const writable = localVectors.get(offset);
    if (writable !== undefined) {
      this.#writeLocalVector(offset, value & writable);
      return;
    }
    switch (offset) {
      case register.taskPriority:
        this.#taskPriority = value & 0xff;
        this.#outside.setTaskPriorityClass(this.#taskPriority >> 4);
        break;
      case register.endOfInterrupt:
        this.#endOfInterrupt();
        break;
      case register.logicalDestination:
        this.#logicalDestination = value & 0xff00_0000;
        break;
      case register.destinationFormat:
        this.#destinationFormat = value | 0x0fff_ffff;
        break;
      case register.spurious:
        this.#writeSpurious(value & 0x1fff);
        break;
      case register.errorStatus:
        this.#errorsShown = this.#errorsSeen;
        this.#errorsSeen = 0;
        break;
      case register.commandLow:
        // Delivery status (bit 12) reads as idle: messages go at once.
        this.#commandLow = value & 0xcfff;
        this.#commandLow |= value & 0xc_0000;
        this.#send();
        break;
      case register.commandHigh:
        this.#commandHigh = value;
        break;
      case register.initialCount:
        this.#startTimer(value >>> 0);
        break;
      case register.divide:
        this.#divide = value & 0x0b;
        break;
      case register.selfInterrupt:
        if (this.#x2Mode) this.accept(value & 0xff, false);
        break;
      default:
        this.#noteError(errors.illegalRegister);
    }
    this.update();
  }

  /** IA32_TSC_DEADLINE: zero disarms; elsewhere than in TSC-deadline mode it reads as zero and writes do nothing. */
  get tscDeadline(): bigint {
    return this.#deadline;
  }

  set tscDeadline(value: bigint) {
    if (this.#timerMode !== timerModes.deadline) return;
    this.#deadline = value;
    const wait = value - this.#outside.timeStamp();
    const now = this.#clock.now;
    this.#clock.set(this.#alarm, value === 0n ? undefined : wait > 0n ? now + wait : now);
  }

  /** An interrupt message with this vector arrives. */
  accept(vector: number, levelTriggered: boolean): void {
    if (vector < 16) {
      this.#noteError(errors.receivedIllegalVector);
      return;
    }
    if (!this.#softwareEnabled) return;
    this.#request.set(vector, true);
    this.#levelTriggered.set(vector, levelTriggered);
    this.update();
  }

  /** A message of the I/O APIC or of ICR, in a delivery mode. */
  deliver(mode: number, vector: number, levelTriggered: boolean): void {
    if (mode === delivery.fixed || mode === delivery.lowest) this.accept(vector, levelTriggered);
    else if (mode === delivery.nmi) this.#outside.raiseNmi();
    else if (mode === delivery.init) this.#outside.raiseInit();
    else if (mode === delivery.startUp) this.#outside.raiseInit(vector);
  }

  /** True for a message to this processor: its own identifier, all, or its logical address. */
  isDestination(destination: number, logical: boolean): boolean {
    if (this.#x2Mode) return destination === 0xffff_ffff || (logical ? (destination & 1) !== 0 : destination === 0);
    const short = destination & 0xff;
    if (!logical) return short === 0 || short === 0xff;
    const own = this.#logicalDestination >>> 24;
    const flatModel = this.#destinationFormat >>> 28 === 0xf;
    if (flatModel) return (short & own) !== 0;
    return short >> 4 === own >> 4 && (short & own & 0xf) !== 0;
  }

  /** Interrupt acknowledge: the vector that the processor takes. */
  acknowledge(): number {
    const vector = this.#deliverable();
    if (vector >= 0) {
      this.#request.set(vector, false);
      this.#inService.set(vector, true);
      this.update();
      return vector;
    }
    const taken = this.#externalPending() ? this.#outside.acknowledgeExternal() : this.#spurious & 0xff;
    this.update();
    return taken;
  }

  processorChanged(): void {
    this.update();
  }

  /** Looks again at what to tell the processor: after changes of CR8, of IA32_APIC_BASE and of the 8259 pair's line. */
  update(): void {
    this.#outside.setInterrupt(this.#deliverable() >= 0 || this.#externalPending());
  }

  get #enabled(): boolean {
    return (this.#outside.apicBase() & baseEnable) !== 0n;
  }

  get #x2Mode(): boolean {
    return (this.#outside.apicBase() & (baseX2 | baseEnable)) === (baseX2 | baseEnable);
  }

  get #softwareEnabled(): boolean {
    return this.#enabled && (this.#spurious & softwareEnable) !== 0;
  }

  get #timerMode(): number {
    return ((this.#localVector.get(register.timer) ?? 0) >> 17) & 3;
  }

  /** The 8259 pair reaches the processor directly, or through LINT0 as an external interrupt. */
  #externalPending(): boolean {
    if (!this.#outside.externalPending()) return false;
    if (!this.#enabled) return true;
    const entry = this.#localVector.get(register.lint0) ?? masked;
    return (entry & masked) === 0 && ((entry >> 8) & 7) === delivery.external;
  }

  #deliverable(): number {
    if (!this.#enabled) return -1;
    const vector = this.#request.highest();
    return vector >= 0 && vector >> 4 > this.#processorPriority() >> 4 ? vector : -1;
  }

  /** CR8 and the upper half of the register are one; the lower half exists only here. */
  #currentTaskPriority(): number {
    const upper = this.#outside.taskPriorityClass();
    if (upper !== this.#taskPriority >> 4) this.#taskPriority = upper << 4;
    return this.#taskPriority;
  }

  /** "Task and Processor Priorities". */
  #processorPriority(): number {
    const task = this.#currentTaskPriority();
    const service = Math.max(0, this.#inService.highest());
    return task >> 4 >= service >> 4 ? task : service & 0xf0;
  }

  #endOfInterrupt(): void {
    const vector = this.#inService.highest();
    if (vector < 0) return;
    this.#inService.set(vector, false);
    if (this.#levelTriggered.has(vector)) this.#outside.endOfInterrupt(vector);
  }

  #writeSpurious(value: number): void {
    this.#spurious = value;
    if ((value & softwareEnable) !== 0) return;
    // Software disable masks every local vector, and they cannot be unmasked until it ends.
    for (const [offset, entry] of this.#localVector) this.#localVector.set(offset, entry | masked);
  }

  #writeLocalVector(offset: number, value: number): void {
    const before = this.#timerMode;
    const forced = (this.#spurious & softwareEnable) === 0 ? masked : 0;
    this.#localVector.set(offset, value | forced);
    if (offset === register.timer && this.#timerMode !== before) {
      // Between the count and the deadline modes the timer disarms.
      if (this.#timerMode === timerModes.deadline || before === timerModes.deadline) this.#disarm();
    }
    this.update();
  }

  #disarm(): void {
    this.#initialCount = 0;
    this.#deadline = 0n;
    this.#clock.set(this.#alarm, undefined);
  }

  /** "Issuing Interprocessor Interrupts"; only messages that reach this processor do anything. */
  #send(): void {
    const vector = this.#commandLow & 0xff;
    const mode = (this.#commandLow >> 8) & 7;
    const shorthand = (this.#commandLow >> 18) & 3;
    const logical = (this.#commandLow & 0x800) !== 0;
    if ((mode === delivery.fixed || mode === delivery.lowest) && vector < 16) {
      this.#noteError(errors.sendIllegalVector);
      return;
    }
    // INIT with level 0 and level-triggered only synchronizes arbitration: "INIT Level De-assert".
    const deasserts = mode === delivery.init && (this.#commandLow & 0xc000) === 0x8000;
    if (deasserts) return;
    const destination = this.#x2Mode ? this.#commandHigh >>> 0 : this.#commandHigh >>> 24;
    const reachesSelf = [this.isDestination(destination, logical), true, true, false][shorthand] ?? false;
    if (reachesSelf) this.deliver(mode, vector, (this.#commandLow & 0x8000) !== 0);
  }

  #noteError(bits: number): void {
    this.#errorsSeen |= bits;
    const entry = this.#localVector.get(register.error) ?? masked;
    if ((entry & masked) === 0 && (entry & 0xff) >= 16) this.accept(entry & 0xff, false);
  }

  #vectorWord(offset: number): number {
    const set =
      offset < register.triggerMode
        ? this.#inService
        : offset < register.request
          ? this.#levelTriggered
          : this.#request;
    return set.words[(offset >> 4) & 7] ?? 0;
  }

  /** Divide configuration: bits 3, 1 and 0 choose 2, 4, … 128, and 1. */
  get #divisor(): bigint {
    const choice = (this.#divide & 3) | ((this.#divide >> 1) & 4);
    return choice === 7 ? 1n : 2n << BigInt(choice);
  }

  #startTimer(count: number): void {
    if (this.#timerMode === timerModes.deadline) return;
    this.#initialCount = count;
    this.#countStarted = this.#clock.now;
    const due = this.#countStarted + BigInt(count) * this.#divisor;
    this.#clock.set(this.#alarm, count === 0 ? undefined : due);
  }

  #currentCount(): number {
    if (this.#initialCount === 0 || this.#timerMode === timerModes.deadline) return 0;
    const ticks = (this.#clock.now - this.#countStarted) / this.#divisor;
    const count = BigInt(this.#initialCount);
    if (this.#timerMode === timerModes.periodic) return Number(count - (ticks % count));
    return ticks >= count ? 0 : Number(count - ticks);
  }

  #timerElapsed(now: bigint): void {
    const entry = this.#localVector.get(register.timer) ?? masked;
    if (this.#timerMode === timerModes.deadline) this.#deadline = 0n;
    else if (this.#timerMode === timerModes.periodic && this.#initialCount !== 0) {
      const period = BigInt(this.#initialCount) * this.#divisor;
      const periods = (now - this.#countStarted) / period + 1n;
      this.#clock.set(this.#alarm, this.#countStarted + periods * period);
    }
    if ((entry & masked) === 0) this.accept(entry & 0xff, false);
  }
}

/** "x2APIC Register Address Space": no destination format, no upper half of ICR, and some registers one way only. */
function readableMsr(offset: number): boolean {
  const known = offset >= register.inService && offset <= register.errorStatus;
  const others: readonly number[] = [
    ...[register.id, register.version, register.taskPriority, register.processorPriority, register.logicalDestination],
    ...[register.spurious, register.initialCount, register.currentCount, register.divide],
  ];
  return known || others.includes(offset) || localVectors.has(offset);
}

function writableMsr(offset: number): boolean {
  const others: readonly number[] = [
    ...[register.taskPriority, register.endOfInterrupt, register.spurious, register.errorStatus],
    ...[register.initialCount, register.divide, register.selfInterrupt],
  ];
  return others.includes(offset) || localVectors.has(offset);
}
