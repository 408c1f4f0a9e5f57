// PCI configuration mechanism 1: the address at 0xcf8, the data at 0xcfc. PCI Local Bus Specification, section
// "Software Generation of Configuration Transactions". On the bus there is a host bridge and an ISA bridge, so that a
// guest that looks finds a PC; they have no base addresses.

import type { Device } from "../device.js";

const addressPort = 0xcf8;
const dataPort = 0xcfc;
const enable = 0x8000_0000;

interface PciFunction {
  readonly device: number;
  readonly header: readonly number[];
}

/** First words of the configuration space: vendor and device, command and status, class and revision, header type. */
const functions: readonly PciFunction[] = [
  // Intel 440FX host bridge and 82371SB ISA bridge: what guests expect of an old PC.
  { device: 0, header: [0x1237_8086, 0, 0x0600_0002, 0] },
  { device: 1, header: [0x7000_8086, 0x0200_0007, 0x0601_0000, 0] },
];

/** What a reset leaves. */
const atReset = {
  address: 0,
};

export class PciHost implements Device {
  readonly name = "PCI configuration";
  readonly ports = [
    [addressPort, addressPort],
    [dataPort, dataPort + 3],
  ] as const;
  #state = { ...atReset };

  reset(): void {
    this.#state = { ...atReset };
  }

  save(): unknown {
    return this.#state;
  }

  restore(state: unknown): void {
    this.#state = state as typeof atReset;
  }

  readPort(port: number, bytes: number): number {
    if (port === addressPort) return bytes === 4 ? this.#state.address >>> 0 : 0xff;
    const word = this.#configurationWord();
    return word >>> ((port - dataPort) * 8);
  }

  writePort(port: number, value: number, bytes: number): void {
    // Nothing in the configuration space can be changed; base addresses read back as zero, which means none.
    if (port === addressPort && bytes === 4) this.#state.address = value & 0x80ff_fffc;
  }

  #configurationWord(): number {
    const bus = (this.#state.address >> 16) & 0xff;
    const device = (this.#state.address >> 11) & 0x1f;
    const number = (this.#state.address >> 8) & 7;
    const found = functions.find((each) => each.device === device && bus === 0 && number === 0);
    if ((this.#state.address & enable) === 0 || !found) return 0xffff_ffff;
    return found.header[(this.#state.address & 0xff) >> 2] ?? 0;
  }
}
