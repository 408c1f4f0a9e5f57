// COM1: a 16550 serial port whose line is always ready. Bytes written leave at once; there is no baud rate.
// National Semiconductor PC16550D data sheet, section "Registers".

import type { Device } from "../device.js";
import { readByteWise, writeByteWise } from "./bytes.js";

export interface SerialOptions {
  /** First of eight ports; COM1 by default. */
  readonly port?: number;
  /** Takes each byte that the guest sends. */
  readonly sink: (byte: number) => void;
  /** Drives the interrupt line (IRQ 4 for COM1). */
  readonly interrupt?: (asserted: boolean) => void;
}

/** Line status: transmitter holding register and shift register empty. */
const lineIdle = 0x60;
const dataReady = 0x01;
const loopback = 0x10;
/** OUT2 connects the interrupt line on a PC. */
const out2 = 0x08;
const divisorAccess = 0x80;
/** DCD, DSR and CTS: somebody listens. */
const modemReady = 0xb0;

/** What a reset leaves. */
const atReset = {
  received: [] as number[],
  divisor: 0,
  interruptEnable: 0,
  fifoControl: 0,
  lineControl: 0,
  modemControl: 0,
  scratch: 0,
  /** The transmitter became empty and nobody has seen it yet. */
  transmitterNews: false,
};

export class SerialPort implements Device {
  readonly name = "serial port";
  readonly ports: readonly (readonly [number, number])[];
  readonly #base: number;
  readonly #options: SerialOptions;
  #state = { ...atReset };

  constructor(options: SerialOptions) {
    this.#options = options;
    this.#base = options.port ?? 0x3f8;
    this.ports = [[this.#base, this.#base + 7]];
  }

  reset(): void {
    this.#state = { ...atReset, received: [] };
  }

  save(): unknown {
    return this.#state;
  }

  restore(state: unknown): void {
    this.#state = state as typeof atReset;
  }

  /** A byte arrives from the other end. */
  receive(byte: number): void {
    this.#state.received.push(byte & 0xff);
    this.#updateInterrupt();
  }

  readPort(port: number, bytes: number): number {
    return readByteWise(port, bytes, (each) => this.#read(each - this.#base));
  }

  writePort(port: number, value: number, bytes: number): void {
    writeByteWise(port, value, bytes, (each, byte) => this.#write(each - this.#base, byte));
  }

  #read(register: number): number {
    const divisor = (this.#state.lineControl & divisorAccess) !== 0;
    switch (register) {
      case 0:
        return divisor ? this.#state.divisor & 0xff : this.#takeReceived();
      case 1:
        return divisor ? this.#state.divisor >> 8 : this.#state.interruptEnable;
      case 2:
        return this.#identifyInterrupt();
      case 3:
        return this.#state.lineControl;
      case 4:
        return this.#state.modemControl;
      case 5:
        return lineIdle | (this.#state.received.length > 0 ? dataReady : 0);
      case 6:
        return this.#modemStatus();
      case 7:
        return this.#state.scratch;
      default:
        return 0xff;
    }
  }

  #write(register: number, value: number): void {
    const divisor = (this.#state.lineControl & divisorAccess) !== 0;
    switch (register) {
      case 0:
        if (divisor) this.#state.divisor = (this.#state.divisor & 0xff00) | value;
        else this.#send(value);
        break;
      case 1:
        if (divisor) this.#state.divisor = (this.#state.divisor & 0xff) | (value << 8);
        else this.#enableInterrupts(value & 0x0f);
        break;
      case 2:
        this.#state.fifoControl = value;
        if ((value & 0x02) !== 0) this.#state.received = [];
        break;
      case 3:
        this.#state.lineControl = value;
        break;
      case 4:
        this.#state.modemControl = value & 0x1f;
        break;
      case 7:
        this.#state.scratch = value;
        break;
      // The status registers 5 and 6 are read-only.
    }
    this.#updateInterrupt();
  }

  #send(byte: number): void {
    if ((this.#state.modemControl & loopback) !== 0) this.#state.received.push(byte);
    else this.#options.sink(byte);
    this.#state.transmitterNews = true;
  }

  #enableInterrupts(enable: number): void {
    // Enabling the transmitter interrupt while the transmitter is empty raises it.
    if ((enable & 2) !== 0 && (this.#state.interruptEnable & 2) === 0) this.#state.transmitterNews = true;
    this.#state.interruptEnable = enable;
  }

  #takeReceived(): number {
    const byte = this.#state.received.shift() ?? 0;
    this.#updateInterrupt();
    return byte;
  }

  /** IIR: the pending interrupt of highest priority, or 1 for none; bits 6 and 7 say that the FIFOs are on. */
  #identifyInterrupt(): number {
    const fifos = (this.#state.fifoControl & 1) !== 0 ? 0xc0 : 0;
    if (this.#receivePending()) return fifos | 4;
    if (!this.#transmitPending()) return fifos | 1;
    // Reading takes the transmitter interrupt back.
    this.#state.transmitterNews = false;
    this.#updateInterrupt();
    return fifos | 2;
  }

  #receivePending(): boolean {
    return (this.#state.interruptEnable & 1) !== 0 && this.#state.received.length > 0;
  }

  #transmitPending(): boolean {
    return (this.#state.interruptEnable & 2) !== 0 && this.#state.transmitterNews;
  }

  #updateInterrupt(): void {
    const pending = this.#receivePending() || this.#transmitPending();
    this.#options.interrupt?.(pending && (this.#state.modemControl & out2) !== 0);
  }

  /** In loopback the modem inputs are the outputs: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD. */
  #modemStatus(): number {
    if ((this.#state.modemControl & loopback) === 0) return modemReady;
    const {
      rts,
      dtr,
      out1,
      out2: dcd,
    } = {
      dtr: this.#state.modemControl & 1,
      rts: (this.#state.modemControl >> 1) & 1,
      out1: (this.#state.modemControl >> 2) & 1,
      out2: (this.#state.modemControl >> 3) & 1,
    };
    return (rts << 4) | (dtr << 5) | (out1 << 6) | (dcd << 7);
  }
}
