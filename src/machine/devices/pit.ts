// The 8254 interval timer: channel 0 drives IRQ 0, channel 2 is gated and read through port 0x61.
// Intel 8254 data sheet, sections "Programming" and "Mode Definitions".
//
// Counters are not stepped: a counter knows when it was loaded, and its value follows from virtual time. Modes 0, 2
// and 3 are what PC software uses; modes 1, 4 and 5 count like mode 0 and give no pulse.

import type { Device } from "../device.js";
import { readByteWise, writeByteWise } from "./bytes.js";
import { instructionsPerSecond, type Alarm, type Clock } from "./clock.js";

/** Input clock of the counters on every PC. */
const ticksPerSecond = 1_193_182n;

/** A counter after power-on. */
const counterAtReset = {
  mode: 3,
  gate: true,
  access: 3,
  decimal: false,
  reload: 0x1_0000,
  loadedAt: 0n,
  loaded: false,
  writeHigh: false,
  readHigh: false,
  lowByte: 0,
  latchedCount: undefined as number | undefined,
  latchedStatus: undefined as number | undefined,
};

class Counter {
  state = { ...counterAtReset };

  constructor(readonly now: () => bigint) {}

  reset(): void {
    this.state = { ...counterAtReset };
  }

  get periodic(): boolean {
    return this.state.mode === 2 || this.state.mode === 3;
  }

  /** Control word, without its counter number. */
  control(word: number): void {
    const access = (word >> 4) & 3;
    if (access === 0) {
      this.latchCount();
      return;
    }
    this.state.access = access;
    // Modes 6 and 7 are 2 and 3.
    this.state.mode = (word >> 1) & 7;
    if (this.state.mode > 5) this.state.mode -= 4;
    this.state.decimal = (word & 1) !== 0;
    this.state.loaded = false;
    this.state.writeHigh = false;
    this.state.readHigh = false;
  }

  latchCount(): void {
    this.state.latchedCount ??= this.count();
  }

  latchStatus(): void {
    this.state.latchedStatus ??=
      (this.output() ? 0x80 : 0) |
      (this.state.loaded ? 0 : 0x40) |
      (this.state.access << 4) |
      (this.state.mode << 1) |
      (this.state.decimal ? 1 : 0);
  }

  read(): number {
    if (this.state.latchedStatus !== undefined) {
      const status = this.state.latchedStatus;
      this.state.latchedStatus = undefined;
      return status;
    }
    const value = this.state.latchedCount ?? this.count();
    const high = this.state.access === 2 || (this.state.access === 3 && this.state.readHigh);
    if (this.state.access === 3) this.state.readHigh = !this.state.readHigh;
    if (this.state.access !== 3 || high) this.state.latchedCount = undefined;
    return (high ? value >> 8 : value) & 0xff;
  }

  /** True when the write completed a count, which then starts. */
  write(byte: number): boolean {
    if (this.state.access === 3 && !this.state.writeHigh) {
      this.state.lowByte = byte;
      this.state.writeHigh = true;
      return false;
    }
    const raw = this.state.access === 1 ? byte : this.state.access === 2 ? byte << 8 : this.state.lowByte | (byte << 8);
    this.state.writeHigh = false;
    const value = this.state.decimal ? fromDecimal(raw) : raw;
    this.state.reload = value === 0 ? (this.state.decimal ? 10_000 : 0x1_0000) : value;
    this.#start();
    return true;
  }

  /** A rising gate restarts the periodic modes. */
  setGate(gate: boolean): void {
    if (gate && !this.state.gate && this.state.loaded) this.#start();
    this.state.gate = gate;
  }

  output(): boolean {
    if (!this.state.loaded) return this.state.mode !== 0;
    const elapsed = this.#elapsed();
    const reload = BigInt(this.state.reload);
    if (!this.periodic) return elapsed >= reload;
    const phase = elapsed % reload;
    return this.state.mode === 2 ? phase !== reload - 1n : phase < (reload + 1n) / 2n;
  }

  count(): number {
    const elapsed = this.#elapsed();
    const reload = BigInt(this.state.reload);
    let value = this.periodic ? reload - (elapsed % reload) : (reload - elapsed) & 0xffffn;
    // Mode 3 counts down by two, twice in each period.
    if (this.state.mode === 3) value = reload - ((elapsed * 2n) % reload);
    const number = Number(value & 0xffffn);
    return this.state.decimal ? toDecimal(number) : number;
  }

  /** Virtual time of the next rising edge of the output after `from`; undefined when there is none. */
  nextEdge(from: bigint): bigint | undefined {
    if (!this.state.loaded || !this.state.gate) return undefined;
    const reload = BigInt(this.state.reload);
    if (!this.periodic) {
      const due = this.state.loadedAt + toInstructions(reload);
      return this.state.mode === 0 && due > from ? due : undefined;
    }
    const periods = ((from - this.state.loadedAt) * ticksPerSecond) / (instructionsPerSecond * reload);
    let due = this.state.loadedAt + toInstructions(reload * (periods + 1n));
    if (due <= from) due = this.state.loadedAt + toInstructions(reload * (periods + 2n));
    return due;
  }

  #start(): void {
    this.state.loadedAt = this.now();
    this.state.loaded = true;
  }

  #elapsed(): bigint {
    if (!this.state.loaded) return 0n;
    return ((this.now() - this.state.loadedAt) * ticksPerSecond) / instructionsPerSecond;
  }
}

const speakerPort = 0x61;

export class Pit implements Device {
  readonly name = "8254 timer";
  readonly ports = [
    [0x40, 0x43],
    [speakerPort, speakerPort],
  ] as const;
  readonly #clock: Clock;
  readonly #interrupt: (asserted: boolean) => void;
  readonly #counters: readonly [Counter, Counter, Counter];
  readonly #alarm: Alarm;
  #speaker = 0;
  #refresh = 0;

  constructor(clock: Clock, interrupt: (asserted: boolean) => void) {
    this.#clock = clock;
    this.#interrupt = interrupt;
    const now = (): bigint => clock.now;
    this.#counters = [new Counter(now), new Counter(now), new Counter(now)];
    this.#alarm = clock.alarm((at) => this.#tick(at));
  }

  reset(): void {
    for (const counter of this.#counters) counter.reset();
    this.#counters[2].state.gate = false;
    this.#speaker = 0;
    this.#refresh = 0;
  }

  save(): unknown {
    const counters = this.#counters.map(({ state }) => state);
    return { counters, speaker: this.#speaker, refresh: this.#refresh, due: this.#alarm.due };
  }

  restore(state: unknown): void {
    const { counters, speaker, refresh, due } = state as {
      readonly counters: readonly (typeof counterAtReset)[];
      readonly speaker: number;
      readonly refresh: number;
      readonly due: bigint | undefined;
    };
    this.#counters.forEach((counter, i) => (counter.state = counters[i] ?? { ...counterAtReset }));
    this.#speaker = speaker;
    this.#refresh = refresh;
    this.#clock.set(this.#alarm, due);
  }

  readPort(port: number, bytes: number): number {
    return readByteWise(port, bytes, (each) => {
      if (each === speakerPort) return this.#readSpeaker();
      return this.#counters[each - 0x40]?.read() ?? 0xff;
    });
  }

  writePort(port: number, value: number, bytes: number): void {
    writeByteWise(port, value, bytes, (each, byte) => {
      if (each === speakerPort) {
        this.#speaker = byte & 3;
        this.#counters[2].setGate((byte & 1) !== 0);
      } else if (each === 0x43) this.#control(byte);
      else if (this.#counters[each - 0x40]?.write(byte) && each === 0x40) this.#arm();
    });
  }

  #control(word: number): void {
    const number = word >> 6;
    if (number < 3) {
      this.#counters[number]?.control(word & 0x3f);
      if (number === 0 && (word & 0x30) !== 0) this.#arm();
      return;
    }
    // Read-back: bits 5 and 4 are low to latch count and status, bits 3 to 1 choose counters.
    this.#counters.forEach((counter, i) => {
      if ((word & (2 << i)) === 0) return;
      if ((word & 0x20) === 0) counter.latchCount();
      if ((word & 0x10) === 0) counter.latchStatus();
    });
  }

  #arm(): void {
    this.#interrupt(this.#counters[0].output() && this.#counters[0].state.mode === 0);
    this.#clock.set(this.#alarm, this.#counters[0].nextEdge(this.#clock.now));
  }

  #tick(at: bigint): void {
    // An edge: low, then high.
    this.#interrupt(false);
    this.#interrupt(true);
    this.#clock.set(this.#alarm, this.#counters[0].nextEdge(at));
  }

  /** Bit 5 is the output of channel 2, bit 4 toggles with the memory refresh. */
  #readSpeaker(): number {
    this.#refresh ^= 0x10;
    return this.#speaker | this.#refresh | (this.#counters[2].output() ? 0x20 : 0);
  }
}

const toInstructions = (ticks: bigint): bigint =>
  (ticks * instructionsPerSecond + ticksPerSecond - 1n) / ticksPerSecond;

function fromDecimal(value: number): number {
  return [12, 8, 4, 0].reduce((sum, shift) => sum * 10 + ((value >> shift) & 15), 0);
}

function toDecimal(value: number): number {
  return [1000, 100, 10, 1].reduce((packed, unit) => (packed << 4) | (Math.floor(value / unit) % 10), 0);
}
