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

export class SerialPort implements Device {
  readonly name = "serial port";
  readonly ports: readonly (readonly [number, number])[];
  readonly #base: number;
  readonly #options: SerialOptions;
  #received: number[] = [];
  #divisor = 0;
  #interruptEnable = 0;
  #fifoControl = 0;
  #lineControl = 0;
  #modemControl = 0;
  #scratch = 0;
  /** The transmitter became empty and nobody has seen it yet. */
  #transmitterNews = false;

  constructor(options: SerialOptions) {
    this.#options = options;
    this.#base = options.port ?? 0x3f8;
    this.ports = [[this.#base, this.#base + 7]];
  }

  reset(): void {
    this.#received = [];
    this.#divisor = 0;
    this.#interruptEnable = 0;
    this.#fifoControl = 0;
    this.#lineControl = 0;
    this.#modemControl = 0;
    this.#scratch = 0;
    this.#transmitterNews = false;
  }

  /** A byte arrives from the other end. */
  receive(byte: number): void {
    this.#received.push(byte & 0xff);
    this.#updateInterrupt();
  }

  readPort(port: number, bytes: number): number {
    return readByteWise(port, bytes, (each) => this.#read(each - this.#base));
  }

  writePort(port: number, value: number, bytes: number): void {
    writeByteWise(port, value, bytes, (each, byte) => this.#write(each - this.#base, byte));
  }

  #read(register: number): number {
    const divisor = (this.#lineControl & divisorAccess) !== 0;
    switch (register) {
      case 0:
        return divisor ? this.#divisor & 0xff : this.#takeReceived();
      case 1:
        return divisor ? this.#divisor >> 8 : this.#interruptEnable;
      case 2:
        return this.#identifyInterrupt();
      case 3:
        return this.#lineControl;
      case 4:
        return this.#modemControl;
      case 5:
        return lineIdle | (this.#received.length > 0 ? dataReady : 0);
      case 6:
        return this.#modemStatus();
      case 7:
        return this.#scratch;
      default:
        return 0xff;
    }
  }

  #write(register: number, value: number): void {
    const divisor = (this.#lineControl & divisorAccess) !== 0;
    switch (register) {
      case 0:
        if (divisor) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#send(value);
        break;
      case 1:
        if (divisor) this.#divisor = (this.#divisor & 0xff) | (value << 8);
        else this.#enableInterrupts(value & 0x0f);
        break;
      case 2:
        this.#fifoControl = value;
        if ((value & 0x02) !== 0) this.#received = [];
        break;
      case 3:
        this.#lineControl = value;
        break;
      case 4:
        this.#modemControl = value & 0x1f;
        break;
      case 7:
        this.#scratch = value;
        break;
      // The status registers 5 and 6 are read-only.
    }
    this.#updateInterrupt();
  }

  #send(byte: number): void {
    if ((this.#modemControl & loopback) !== 0) this.#received.push(byte);
    else this.#options.sink(byte);
    this.#transmitterNews = true;
  }

  #enableInterrupts(enable: number): void {
    // Enabling the transmitter interrupt while the transmitter is empty raises it.
    if ((enable & 2) !== 0 && (this.#interruptEnable & 2) === 0) this.#transmitterNews = true;
    this.#interruptEnable = enable;
  }

  #takeReceived(): number {
    const byte = this.#received.shift() ?? 0;
    this.#updateInterrupt();
    return byte;
  }

  /** IIR: the pending interrupt of highest priority, or 1 for none; bits 6 and 7 say that the FIFOs are on. */
  #identifyInterrupt(): number {
    const fifos = (this.#fifoControl & 1) !== 0 ? 0xc0 : 0;
    if (this.#receivePending()) return fifos | 4;
    if (!this.#transmitPending()) return fifos | 1;
    // Reading takes the transmitter interrupt back.
    this.#transmitterNews = false;
    this.#updateInterrupt();
    return fifos | 2;
  }

  #receivePending(): boolean {
    return (this.#interruptEnable & 1) !== 0 && this.#received.length > 0;
  }

  #transmitPending(): boolean {
    return (this.#interruptEnable & 2) !== 0 && this.#transmitterNews;
  }

  #updateInterrupt(): void {
    const pending = this.#receivePending() || this.#transmitPending();
    this.#options.interrupt?.(pending && (this.#modemControl & out2) !== 0);
  }

  /** In loopback the modem inputs are the outputs: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD. */
  #modemStatus(): number {
    if ((this.#modemControl & loopback) === 0) return modemReady;
    const {
      rts,
      dtr,
      out1,
      out2: dcd,
    } = {
      dtr: this.#modemControl & 1,
      rts: (this.#modemControl >> 1) & 1,
      out1: (this.#modemControl >> 2) & 1,
      out2: (this.#modemControl >> 3) & 1,
    };
    return (rts << 4) | (dtr << 5) | (out1 << 6) | (dcd << 7);
  }
}
