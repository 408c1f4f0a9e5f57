// The local APIC of one processor: Intel SDM vol. 3, chapter "Advanced Programmable Interrupt Controller (APIC)".
// The registers of its page, and the same registers as MSRs 800H and up in x2APIC mode. What it says to the other
// APICs of the board, and hears from them, goes through apic-bus.ts; its timer is apic-timer.ts.

import {
  delivery,
  errors,
  isRegister,
  localVectors,
  masked,
  readableMsr,
  register,
  softwareEnable,
  versionValue,
  writableMsr,
} from "./apic-registers.js";
import { ApicTimer, type ApicTimerState } from "./apic-timer.js";
import type { Clock } from "./clock.js";
import { VectorSet } from "./vector-set.js";

/** A message between APICs. */
export interface ApicMessage {
  readonly vector: number;
  readonly mode: number;
  readonly destination: number;
  readonly logical: boolean;
  readonly levelTriggered: boolean;
  /** To all, or to all but the sender; the destination says nothing then. */
  readonly everybody?: "with sender" | "without sender";
}

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
  /** A message leaves. */
  send(message: ApicMessage): void;
}

/** State for a snapshot. */
export interface LocalApicState {
  readonly vectors: readonly Uint32Array[];
  readonly entries: ReadonlyMap<number, number>;
  readonly words: readonly number[];
  readonly timer: ApicTimerState;
}

export const apicPage = 0xfee0_0000;
export const deadlineMsr = 0x6e0;
const baseEnable = 1n << 11n;
const baseX2 = 1n << 10n;
const anyDestination = 0xffff_ffff;

export class LocalApic {
  readonly id: number;
  readonly #outside: ApicSurroundings;
  readonly #timer: ApicTimer;
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
  #errorsSeen = 0;
  #errorsShown = 0;
  /** IA32_APIC_BASE as it was when last looked at. */
  #mode = 0n;

  constructor(clock: Clock, outside: ApicSurroundings, id = 0) {
    this.id = id;
    this.#outside = outside;
    this.#timer = new ApicTimer(clock, {
      timeStamp: () => outside.timeStamp(),
      elapsed: () => this.#deliverLocal(register.timer),
    });
  }

  /** As the firmware of a PC leaves the first one: enabled, the 8259 pair through LINT0 ("virtual wire"), NMI at LINT1. */
  reset(): void {
    this.initialize();
    this.#mode = this.#outside.apicBase();
    if (this.id !== 0) return;
    this.#localVector.set(register.lint0, delivery.external << 8);
    this.#localVector.set(register.lint1, delivery.nmi << 8);
    this.#spurious = softwareEnable | 0xff;
  }

  /** "Local APIC State After Power-Up or Reset"; INIT leaves the same, and the identifier as it is. */
  initialize(): void {
    this.#request.clear();
    this.#inService.clear();
    this.#levelTriggered.clear();
    for (const offset of localVectors.keys()) this.#localVector.set(offset, masked);
    this.#taskPriority = 0;
    this.#spurious = 0xff;
    this.#logicalDestination = 0;
    this.#destinationFormat = 0xffff_ffff;
    this.#commandLow = 0;
    this.#commandHigh = 0;
    this.#errorsSeen = 0;
    this.#errorsShown = 0;
    this.#timer.reset();
  }

  save(): LocalApicState {
    return {
      vectors: [this.#request, this.#inService, this.#levelTriggered].map((set) => set.words),
      entries: this.#localVector,
      words: [
        this.#taskPriority,
        this.#spurious,
        this.#logicalDestination,
        this.#destinationFormat,
        this.#commandLow,
        this.#commandHigh,
        this.#errorsSeen,
        this.#errorsShown,
      ],
      timer: this.#timer.save(),
    };
  }

  restore(state: LocalApicState): void {
    [this.#request, this.#inService, this.#levelTriggered].forEach((set, i) => set.words.set(state.vectors[i] ?? []));
    for (const [offset, entry] of state.entries) this.#localVector.set(offset, entry);
    [
      this.#taskPriority = 0,
      this.#spurious = 0,
      this.#logicalDestination = 0,
      this.#destinationFormat = 0,
      this.#commandLow = 0,
      this.#commandHigh = 0,
      this.#errorsSeen = 0,
      this.#errorsShown = 0,
    ] = state.words;
    this.#timer.restore(state.timer);
    this.#mode = this.#outside.apicBase();
  }

  readMemory(address: number, bytes: number): bigint {
    if (!this.#enabled || this.#x2Mode) return -1n;
    const offset = address & 0xff0;
    const shift = BigInt((address & 0xf) * 8);
    return BigInt.asUintN(bytes * 8, BigInt(this.#read(offset) >>> 0) >> shift);
  }

  writeMemory(address: number, value: bigint): void {
    if (!this.#enabled || this.#x2Mode || (address & 0xf) !== 0) return;
    this.#write(address & 0xff0, Number(value & 0xffff_ffffn));
    this.update();
  }

  /** IA32_TSC_DEADLINE, and 800H to 8FFH in x2APIC mode; undefined where RDMSR raises #GP(0). */
  readMsr(address: number): bigint | undefined {
    if (address === deadlineMsr) return this.tscDeadline;
    const offset = (address & 0xff) << 4;
    if (!this.#x2Mode || !readableMsr(offset)) return undefined;
    const low = BigInt(this.#read(offset) >>> 0);
    return offset === register.commandLow ? (BigInt(this.#commandHigh >>> 0) << 32n) | low : low;
  }

  /** False where WRMSR raises #GP(0): no such register, or a reserved bit. */
  writeMsr(address: number, value: bigint): boolean {
    if (address === deadlineMsr) {
      this.tscDeadline = value;
      return true;
    }
    const offset = (address & 0xff) << 4;
    const [high, low] = [Number(value >> 32n), Number(value & 0xffff_ffffn)] as const;
    if (!this.#x2Mode || !writableMsr(offset, low)) return false;
    if (offset === register.commandLow) this.#commandHigh = high;
    else if (high !== 0) return false;
    if (offset === register.selfInterrupt) this.#interruptSelf(low);
    else this.#write(offset, low);
    this.update();
    return true;
  }

  get tscDeadline(): bigint {
    return this.#timer.deadline;
  }

  set tscDeadline(value: bigint) {
    this.#timer.deadline = value;
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

  /** A message of the I/O APIC, of another APIC or of this one, in a delivery mode. */
  deliver(mode: number, vector: number, levelTriggered: boolean): void {
    if (!this.#enabled) return;
    if (mode === delivery.fixed || mode === delivery.lowest) this.accept(vector, levelTriggered);
    else if (mode === delivery.nmi) this.#outside.raiseNmi();
    else if (mode === delivery.init) this.#outside.raiseInit();
    else if (mode === delivery.startUp) this.#outside.raiseInit(vector);
  }

  /** True for a message to this processor: its identifier, its logical address, or all ("Determining IPI Destination"). */
  isDestination({ destination, logical }: ApicMessage): boolean {
    const to = destination >>> 0;
    if (to === anyDestination) return true;
    if (this.#x2Mode) return logical ? sharesCluster(to, this.#x2Logical, 16) : to === this.id;
    if (!logical) return (to & 0xff) === this.id || (to & 0xff) === 0xff;
    const own = this.#logicalDestination >>> 24;
    const flatModel = this.#destinationFormat >>> 28 === 0xf;
    if (flatModel) return (to & own) !== 0;
    return (to & 0xff) === 0xff || sharesCluster(to & 0xff, own, 4);
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

  /** CR8, IA32_APIC_BASE or the time-stamp counter changed. */
  processorChanged(): void {
    const mode = this.#outside.apicBase() & (baseEnable | baseX2);
    // "x2APIC State Transitions": of the registers only the identifier survives the way out of x2APIC mode. What was set
    // in xAPIC mode may be lost when the APIC is disabled, and is not lost here.
    if (mode === 0n && (this.#mode & baseX2) !== 0n) this.initialize();
    this.#mode = mode;
    this.#timer.timeStampChanged();
    this.update();
  }

  /** Looks again at what to tell the processor: after changes of CR8, of IA32_APIC_BASE and of the 8259 pair's line. */
  update(): void {
    this.#outside.setInterrupt(this.#deliverable() >= 0 || this.#externalPending());
  }

  /** "Task and Processor Priorities". */
  get processorPriority(): number {
    const task = this.#currentTaskPriority();
    const service = Math.max(0, this.#inService.highest());
    return task >> 4 >= service >> 4 ? task : service & 0xf0;
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

  /** "Deriving Logical x2APIC ID from the Local x2APIC ID". */
  get #x2Logical(): number {
    return ((this.id >> 4) << 16) | (1 << (this.id & 0xf));
  }

  #read(offset: number): number {
    const local = this.#localVector.get(offset);
    if (local !== undefined) return local;
    if (offset >= register.inService && offset < register.errorStatus) return this.#vectorWord(offset);
    if (!isRegister(offset)) this.#noteError(errors.illegalRegister);
    switch (offset) {
      case register.id:
        return this.#x2Mode ? this.id : this.id << 24;
      case register.version:
        return versionValue;
      case register.taskPriority:
        return this.#currentTaskPriority();
      case register.processorPriority:
        return this.processorPriority;
      case register.logicalDestination:
        return this.#x2Mode ? this.#x2Logical : this.#logicalDestination;
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
        return this.#timer.initialCount;
      case register.currentCount:
        return this.#timer.currentCount;
      case register.divide:
        return this.#timer.divide;
      default:
        return 0;
    }
  }

  #write(offset: number, value: number): void {
    const writable = localVectors.get(offset);
    if (writable !== undefined) {
      this.#writeLocalVector(offset, value & writable);
      return;
    }
    if (!isRegister(offset)) this.#noteError(errors.illegalRegister);
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
        this.#writeSpurious(value & 0x3ff);
        break;
      case register.errorStatus:
        this.#errorsShown = this.#errorsSeen;
        this.#errorsSeen = 0;
        break;
      case register.commandLow:
        // Delivery status (bit 12) reads as idle: messages go at once.
        this.#commandLow = value & 0xc_cfff;
        this.#send();
        break;
      case register.commandHigh:
        this.#commandHigh = value & 0xff00_0000;
        break;
      case register.initialCount:
        this.#timer.initialCount = value >>> 0;
        break;
      case register.divide:
        this.#timer.divide = value & 0x0b;
        break;
    }
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
    return vector >= 0 && vector >> 4 > this.processorPriority >> 4 ? vector : -1;
  }

  /** CR8 and the upper half of the register are one; the lower half exists only here. */
  #currentTaskPriority(): number {
    const upper = this.#outside.taskPriorityClass();
    if (upper !== this.#taskPriority >> 4) this.#taskPriority = upper << 4;
    return this.#taskPriority;
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
    const forced = (this.#spurious & softwareEnable) === 0 ? masked : 0;
    this.#localVector.set(offset, value | forced);
    if (offset === register.timer) this.#timer.mode = (value >> 17) & 3;
  }

  /** An interrupt of a local vector table entry: it has a vector of its own, and no delivery mode. */
  #deliverLocal(offset: number): void {
    const entry = this.#localVector.get(offset) ?? masked;
    if ((entry & masked) === 0) this.accept(entry & 0xff, false);
  }

  /** "Issuing Interprocessor Interrupts". */
  #send(): void {
    const [vector, mode] = [this.#commandLow & 0xff, (this.#commandLow >> 8) & 7] as const;
    if ((mode === delivery.fixed || mode === delivery.lowest) && vector < 16) {
      this.#noteError(errors.sendIllegalVector);
      return;
    }
    // INIT with level 0 and level-triggered only synchronizes arbitration: "INIT Level De-assert".
    if (mode === delivery.init && (this.#commandLow & 0xc000) === 0x8000) return;
    const shorthand = (this.#commandLow >> 18) & 3;
    if (shorthand === 1) {
      this.deliver(mode, vector, false);
      return;
    }
    // Whatever the trigger mode says, IPIs are edge-triggered ("Valid Combinations for … Command Register").
    this.#outside.send({
      vector,
      mode,
      destination: this.#x2Mode ? this.#commandHigh >>> 0 : this.#commandHigh >>> 24,
      logical: (this.#commandLow & 0x800) !== 0,
      levelTriggered: false,
      ...(shorthand !== 0 && { everybody: shorthand === 2 ? "with sender" : "without sender" }),
    });
  }

  /** "SELF IPI Register". */
  #interruptSelf(vector: number): void {
    if (vector < 16) this.#noteError(errors.sendIllegalVector);
    else this.accept(vector, false);
  }

  /** "Error Handling": collected until ESR is written, and an interrupt of the error entry for each. */
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
}

/** Logical addresses of a cluster and one bit each: the cluster is the upper half, of `bits` bits. */
function sharesCluster(destination: number, own: number, bits: 4 | 16): boolean {
  return destination >>> bits === own >>> bits && (destination & own & ((1 << bits) - 1)) !== 0;
}
