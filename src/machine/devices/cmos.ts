// The CMOS memory and clock of a PC at ports 0x70 and 0x71. Motorola MC146818A data sheet, sections "Time, Calendar
// and Alarm Locations" and "Registers". The clock starts at a fixed date and follows virtual time; alarms are not there.

import type { Device } from "../device.js";
import { instructionsPerSecond } from "./clock.js";

/** The date on which every run begins: 2006-05-23 00:00:00 UTC, a Tuesday. */
const startSeconds = Date.UTC(2006, 4, 23) / 1000;
/** Status A: time base of 32.768 kHz. Status B: 24-hour mode, numbers in packed decimal. Status D: the battery is good. */
const registers = { statusA: 0x0a, statusB: 0x0b, statusC: 0x0c, statusD: 0x0d } as const;
const binaryNumbers = 0x04;
const kibibyte = 1024;

export class Cmos implements Device {
  readonly name = "CMOS clock";
  readonly ports = [[0x70, 0x71]] as const;
  readonly #now: () => bigint;
  readonly #memoryBytes: number;
  #memory = new Uint8Array(128);
  #index = 0;

  constructor(now: () => bigint, memoryBytes: number) {
    this.#now = now;
    this.#memoryBytes = memoryBytes;
  }

  reset(): void {
    this.#index = 0;
    this.#memory.fill(0);
    this.#memory[registers.statusA] = 0x26;
    this.#memory[registers.statusB] = 0x02;
    this.#memory[registers.statusD] = 0x80;
    const extended = Math.min(0xffff, this.#memoryBytes / kibibyte - 1024);
    const above16 = Math.min(0xffff, Math.max(0, this.#memoryBytes / 65_536 - 256));
    // Base memory of 640 KiB; memory above 1 MiB in KiB, twice; memory above 16 MiB in units of 64 KiB.
    this.#word(0x15, 640);
    this.#word(0x17, extended);
    this.#word(0x30, extended);
    this.#word(0x34, above16);
  }

  save(): unknown {
    return { index: this.#index, memory: this.#memory };
  }

  restore(state: unknown): void {
    const { index, memory } = state as { readonly index: number; readonly memory: Uint8Array };
    this.#index = index;
    this.#memory.set(memory);
  }

  readPort(port: number): number {
    if (port === 0x70) return 0xff;
    const time = this.#timeField();
    if (time !== undefined) return (this.#statusB & binaryNumbers) !== 0 ? time : packed(time);
    return this.#memory[this.#index] ?? 0;
  }

  writePort(port: number, value: number): void {
    if (port === 0x70) this.#index = value & 0x7f;
    else if (this.#index !== registers.statusC && this.#index !== registers.statusD) {
      this.#memory[this.#index] = value & 0xff;
    }
  }

  get #statusB(): number {
    return this.#memory[registers.statusB] ?? 0;
  }

  #timeField(): number | undefined {
    const seconds = startSeconds + Number(this.#now() / instructionsPerSecond);
    const date = new Date(seconds * 1000);
    switch (this.#index) {
      case 0:
        return date.getUTCSeconds();
      case 2:
        return date.getUTCMinutes();
      case 4:
        return date.getUTCHours();
      case 6:
        return date.getUTCDay() + 1;
      case 7:
        return date.getUTCDate();
      case 8:
        return date.getUTCMonth() + 1;
      case 9:
        return date.getUTCFullYear() % 100;
      case 0x32:
        return Math.floor(date.getUTCFullYear() / 100);
      default:
        return undefined;
    }
  }

  #word(index: number, value: number): void {
    this.#memory[index] = value & 0xff;
    this.#memory[index + 1] = value >> 8;
  }
}

const packed = (value: number): number => (Math.floor(value / 10) << 4) | (value % 10);
