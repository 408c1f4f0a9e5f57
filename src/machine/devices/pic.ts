// The pair of 8259A interrupt controllers of a PC, and its edge/level control registers.
// Intel 8259A data sheet, sections "Interrupt Sequence" and "Programming the 8259A".

import type { Device } from "../device.js";
import { readByteWise, writeByteWise } from "./bytes.js";

/** A controller after power-on. */
const controllerAtReset = {
  /** Requests latched, in service, and masked: a bit for each line. */
  request: 0,
  inService: 0,
  mask: 0xff,
  /** Level of each input, and which inputs are level-triggered. */
  level: 0,
  levelTriggered: 0,
  vectorBase: 0,
  /** The next initialization word expected, 0 when initialized. */
  expected: 0,
  needsWord4: false,
  single: false,
  autoEnd: false,
  specialMask: false,
  specialNested: false,
  rotateOnAutoEnd: false,
  readInService: false,
  poll: false,
  /** Line of lowest priority; priority falls from the line after it. */
  lowest: 7,
};

/** One 8259A. Line numbers are 0 to 7 here. */
class Controller {
  state = { ...controllerAtReset };

  /** @param slaveLine input of a cascaded controller, which does not block its own new requests; -1 for none. */
  constructor(readonly slaveLine: number) {}

  reset(): void {
    this.state = { ...controllerAtReset };
  }

  setLine(line: number, asserted: boolean): void {
    const bit = 1 << line;
    if (asserted) {
      if ((this.state.levelTriggered & bit) !== 0 || (this.state.level & bit) === 0) this.state.request |= bit;
      this.state.level |= bit;
    } else {
      // An edge stays latched, as the chipsets that followed the 8259A have it.
      this.state.level &= ~bit;
      if ((this.state.levelTriggered & bit) !== 0) this.state.request &= ~bit;
    }
  }

  /** The line to be served next, or -1: unmasked and of higher priority than all in service. */
  pending(): number {
    const candidate = this.#highest(this.state.request & ~this.state.mask);
    if (candidate < 0) return -1;
    let blocking = this.state.specialMask ? this.state.inService & ~this.state.mask : this.state.inService;
    if (this.state.specialNested && candidate === this.slaveLine) blocking &= ~(1 << candidate);
    const inService = this.#highest(blocking);
    return inService < 0 || this.#rank(candidate) < this.#rank(inService) ? candidate : -1;
  }

  /** Interrupt acknowledge: the line served; -1 when the request has gone, which is answered as line 7. */
  acknowledge(): number {
    const line = this.pending();
    if (line < 0) return -1;
    const bit = 1 << line;
    if ((this.state.levelTriggered & bit) === 0) this.state.request &= ~bit;
    if (!this.state.autoEnd) this.state.inService |= bit;
    else if (this.state.rotateOnAutoEnd) this.state.lowest = line;
    return line;
  }

  readCommand(): number {
    if (this.state.poll) {
      this.state.poll = false;
      const line = this.acknowledge();
      return line < 0 ? 0 : 0x80 | line;
    }
    return this.state.readInService ? this.state.inService : this.state.request;
  }

  writeCommand(value: number): void {
    if ((value & 0x10) !== 0) {
      // ICW1.
      this.#initialize();
      this.state.needsWord4 = (value & 1) !== 0;
      this.state.single = (value & 2) !== 0;
      this.state.expected = 2;
    } else if ((value & 0x08) !== 0) {
      // OCW3.
      if ((value & 0x40) !== 0) this.state.specialMask = (value & 0x20) !== 0;
      if ((value & 0x04) !== 0) this.state.poll = true;
      if ((value & 0x02) !== 0) this.state.readInService = (value & 1) !== 0;
    } else {
      this.#endOfInterrupt(value >> 5, value & 7);
    }
  }

  writeData(value: number): void {
    switch (this.state.expected) {
      case 2:
        this.state.vectorBase = value & 0xf8;
        this.state.expected = this.state.single ? (this.state.needsWord4 ? 4 : 0) : 3;
        break;
      case 3:
        this.state.expected = this.state.needsWord4 ? 4 : 0;
        break;
      case 4:
        this.state.specialNested = (value & 0x10) !== 0;
        this.state.autoEnd = (value & 2) !== 0;
        this.state.expected = 0;
        break;
      default:
        this.state.mask = value;
    }
  }

  #initialize(): void {
    this.state.request = this.state.level & this.state.levelTriggered;
    this.state.inService = 0;
    this.state.mask = 0;
    this.state.autoEnd = false;
    this.state.specialMask = false;
    this.state.specialNested = false;
    this.state.rotateOnAutoEnd = false;
    this.state.readInService = false;
    this.state.poll = false;
    this.state.lowest = 7;
  }

  /** OCW2: rotate, specific and end bits. */
  #endOfInterrupt(command: number, line: number): void {
    const rotate = (command & 4) !== 0;
    const specific = (command & 2) !== 0;
    const end = (command & 1) !== 0;
    if (end) {
      const ended = specific ? line : this.#highest(this.state.inService);
      if (ended >= 0) this.state.inService &= ~(1 << ended);
      if (rotate && ended >= 0) this.state.lowest = ended;
    } else if (specific) {
      if (rotate) this.state.lowest = line;
    } else {
      this.state.rotateOnAutoEnd = rotate;
    }
  }

  /** 0 for the line of highest priority. */
  #rank(line: number): number {
    return (line - this.state.lowest - 1) & 7;
  }

  #highest(lines: number): number {
    for (let rank = 0; rank < 8; rank++) {
      const line = (this.state.lowest + 1 + rank) & 7;
      if ((lines & (1 << line)) !== 0) return line;
    }
    return -1;
  }
}

const cascade = 2;
const elcrPort = 0x4d0;
/** Lines that are edge-triggered on every PC: timer, keyboard, cascade, clock, coprocessor. */
const alwaysEdge = [0x07, 0x21] as const;

export class PicPair implements Device {
  readonly name = "8259A pair";
  readonly ports = [
    [0x20, 0x21],
    [0xa0, 0xa1],
    [elcrPort, elcrPort + 1],
  ] as const;
  readonly #master = new Controller(cascade);
  readonly #slave = new Controller(-1);
  readonly #output: (asserted: boolean) => void;

  /** @param output drives INTR, or the local APIC's LINT0. */
  constructor(output: (asserted: boolean) => void) {
    this.#output = output;
  }

  /** As the firmware of a PC leaves it: vectors 08H and 70H, the cascade and the lines of PCI (9 to 11) open. */
  reset(): void {
    this.#master.reset();
    this.#slave.reset();
    this.#master.state.vectorBase = 0x08;
    this.#master.state.mask = 0xff & ~(1 << cascade);
    this.#slave.state.vectorBase = 0x70;
    this.#slave.state.mask = 0xff & ~0x0e;
    this.#update();
  }

  save(): unknown {
    return [this.#master.state, this.#slave.state];
  }

  restore(state: unknown): void {
    const [master, slave] = state as [typeof controllerAtReset, typeof controllerAtReset];
    this.#master.state = master;
    this.#slave.state = slave;
    this.#update();
  }

  /** Drives one of the lines IRQ 0 to 15. */
  setLine(irq: number, asserted: boolean): void {
    if (irq < 8) this.#master.setLine(irq, asserted);
    else this.#slave.setLine(irq - 8, asserted);
    this.#update();
  }

  /** Interrupt acknowledge cycle: the vector. */
  acknowledge(): number {
    let line = this.#master.acknowledge();
    let vector: number;
    if (line === cascade) {
      line = this.#slave.acknowledge();
      vector = this.#slave.state.vectorBase + (line < 0 ? 7 : line);
    } else {
      vector = this.#master.state.vectorBase + (line < 0 ? 7 : line);
    }
    this.#update();
    return vector;
  }

  readPort(port: number, bytes: number): number {
    return readByteWise(port, bytes, (each) => {
      if (each >= elcrPort) return this.#controller(each & 1).state.levelTriggered;
      const controller = this.#controller(each >> 7);
      const value = (each & 1) === 0 ? controller.readCommand() : controller.state.mask;
      this.#update();
      return value;
    });
  }

  writePort(port: number, value: number, bytes: number): void {
    writeByteWise(port, value, bytes, (each, byte) => {
      if (each >= elcrPort) this.#controller(each & 1).state.levelTriggered = byte & ~(alwaysEdge[each & 1] ?? 0xff);
      else if ((each & 1) === 0) this.#controller(each >> 7).writeCommand(byte);
      else this.#controller(each >> 7).writeData(byte);
      this.#update();
    });
  }

  #controller(index: number): Controller {
    return index === 0 ? this.#master : this.#slave;
  }

  #update(): void {
    this.#master.setLine(cascade, this.#slave.pending() >= 0);
    this.#output(this.#master.pending() >= 0);
  }
}
