// The local APICs of a board, one for each processor, and the messages between them and the I/O APIC (Intel SDM vol. 3A,
// "Interrupt Distribution Mechanisms"). An access to the page or to an MSR is one of the processor that executes.

import type { AddressRange, Device } from "../device.js";
import { delivery } from "./apic-registers.js";
import { type ApicMessage, apicPage, deadlineMsr, type LocalApic, type LocalApicState } from "./local-apic.js";

export interface ApicBusOptions {
  /** The APIC of the processor that executes. */
  readonly current: () => LocalApic;
  /** Physical address of the page of that processor's APIC, as IA32_APIC_BASE has it. */
  readonly page: () => number;
  /** The pages of `memory` are others now. */
  readonly moved: () => void;
}

export class ApicBus implements Device {
  readonly name = "local APIC";
  readonly msrs = [
    [0x800, 0x8ff],
    [deadlineMsr, deadlineMsr],
  ] as const;
  readonly #apics: readonly LocalApic[];
  readonly #options: ApicBusOptions;
  readonly #pages: number[];

  constructor(apics: readonly LocalApic[], options: ApicBusOptions) {
    this.#apics = apics;
    this.#options = options;
    this.#pages = apics.map(() => apicPage);
  }

  /** Where the APICs answer. */
  get memory(): readonly AddressRange[] {
    return [...new Set(this.#pages)].map((page) => [page, page + 0xfff]);
  }

  reset(): void {
    for (const apic of this.#apics) apic.reset();
    this.#pages.fill(apicPage);
    this.#options.moved();
  }

  save(): readonly LocalApicState[] {
    return this.#apics.map((apic) => apic.save());
  }

  restore(state: unknown): void {
    this.#apics.forEach((apic, i) => apic.restore((state as readonly LocalApicState[])[i] as LocalApicState));
    this.#follow();
  }

  readMemory(address: number, bytes: number): bigint {
    return this.#isOwnPage(address) ? this.#options.current().readMemory(address, bytes) : -1n;
  }

  writeMemory(address: number, value: bigint): void {
    if (this.#isOwnPage(address)) this.#options.current().writeMemory(address, value);
  }

  readMsr(address: number): bigint | undefined {
    return this.#options.current().readMsr(address);
  }

  writeMsr(address: number, value: bigint): boolean {
    return this.#options.current().writeMsr(address, value);
  }

  processorChanged(): void {
    this.#follow();
    this.#options.current().processorChanged();
  }

  acknowledge(): number {
    return this.#options.current().acknowledge();
  }

  /** A message goes to whom it names. Of several for lowest priority, the one with the lowest processor priority takes it. */
  send(message: ApicMessage, sender?: LocalApic): void {
    const receivers = this.#apics.filter((apic) =>
      message.everybody === undefined
        ? apic.isDestination(message)
        : apic !== sender || message.everybody === "with sender",
    );
    for (const apic of message.mode === delivery.lowest ? lowestPriority(receivers) : receivers) {
      apic.deliver(message.mode, message.vector, message.levelTriggered);
    }
  }

  /** IA32_APIC_BASE may have moved the page of the processor that executes ("Relocating the Local APIC Registers"). */
  #follow(): void {
    const [index, page] = [this.#apics.indexOf(this.#options.current()), this.#options.page()] as const;
    if (this.#pages[index] === page) return;
    this.#pages[index] = page;
    this.#options.moved();
  }

  #isOwnPage(address: number): boolean {
    return ((address ^ this.#options.page()) & ~0xfff) === 0;
  }
}

function lowestPriority(apics: readonly LocalApic[]): readonly LocalApic[] {
  return apics.toSorted((a, b) => a.processorPriority - b.processorPriority || a.id - b.id).slice(0, 1);
}
