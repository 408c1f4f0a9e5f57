// The `hardware` VMM on VT-x: VM entry, events that wait for it, and what a VM exit asks for.

import { assert } from "../../../base/index.js";
import { flagBits, type VmxControlName } from "../../../isa/index.js";
import type { GuestProcessor, GuestState, LevelStop } from "../../bundled.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { EntryFailure, RingZero, VmxOperations } from "../../virtualization.js";
import { eventTypes, type InjectedEvent } from "../exited-guest.js";
import { readEvent } from "./delivery.js";
import { savesResumeFlag } from "../events.js";
import { placeOf, type ControlValues } from "./controls.js";
import { mapEptHole, openEptPage } from "./ept.js";
import { guestMsr } from "../msr.js";
import { HardwareVcpu } from "../hardware-vcpu.js";
import { handleExit } from "./exits.js";
import type { NestedVmx, Taken } from "../../nested/index.js";
import { RealMode } from "./real-mode/real-mode.js";
import { VcpuSeat } from "../vcpu-seat.js";
import type { ShadowTables } from "../shadow-paging.js";
import type { VmxSetup } from "./setup.js";
import { field } from "./vmcs-fields.js";
import { VmxGuest, type VmxGuestParts } from "./vmx-guest.js";

const valid = 1n << 31n;
const errorCodeValid = 1n << 11n;
const entryFailed = 0x8000_0000;
/** The valid bit of IDT-vectoring information. */
const deliveryInterrupted = 0x8000_0000;
/** Shadows of STI and of MOV SS. */
const shadows = 3n;
const blockedByNmi = 8n;
const activityHlt = 1n;

const controlFields = {
  pin: field.pinControls,
  primary: field.primaryControls,
  secondary: field.secondaryControls,
} as const;

export class VmxVcpu extends HardwareVcpu<VmxGuest> {
  readonly guest: VmxGuest;
  readonly shadow: ShadowTables | undefined;
  readonly setup: VmxSetup;
  private readonly vmx: VmxOperations;
  private readonly pages: PageAllocator;
  private haltedAt: bigint | undefined;
  private isDelivered = false;
  private nmiWaits = false;
  private readonly interrupts: number[] = [];
  private steps: (() => void)[] = [];

  /** VMX for the guest, where it is given. */
  nested: NestedVmx | undefined;

  /** Where the processor cannot hold a guest in real mode as it is. */
  private readonly realMode: RealMode | undefined;
  readonly seat?: GuestProcessor;

  constructor(parts: VmxGuestParts & { readonly pages: PageAllocator; readonly ringZero: RingZero }) {
    super(parts.processor, parts.vmx, parts.ringZero);
    this.vmx = parts.vmx;
    this.pages = parts.pages;
    this.setup = parts.setup;
    this.shadow = parts.shadow;
    this.guest = new VmxGuest({ ...parts, setControl: (name, value) => this.setControl(name, value) });
    if (parts.setup.unrestricted) return;
    const realMode = new RealMode(this, parts.processor, parts.ringZero);
    this.realMode = realMode;
    this.guest.ownFlags = (real) => realMode.ownFlags(real);
    this.seat = new VcpuSeat(parts.processor, this, () => realMode.isSeated);
  }

  override get state(): GuestState {
    if (!this.isInGuest) this.realMode?.leave();
    return super.state;
  }

  override suspend(): VmxGuest {
    const guest = super.suspend();
    this.realMode?.leave();
    return guest;
  }

  levelMsr(address: number): bigint | undefined {
    return this.nested?.held.read(address) ?? guestMsr(this.guest, address);
  }

  setLevelMsr(address: number, value: bigint): boolean {
    return this.nested?.held.write(address, value) ?? this.guest.wrmsr(address, value);
  }

  protected get isInjecting(): boolean {
    return (this.vmx.read(field.entryInterruption) & valid) !== 0n;
  }

  get hasPendingEvent(): boolean {
    return this.nmiWaits || this.interrupts.length > 0;
  }

  queueInterrupt(vector: number): void {
    this.interrupts.push(vector);
  }

  queueNmi(): void {
    this.nmiWaits = true;
  }

  /** The next entry leaves the processor in the HLT activity state, after the HLT at `rip`. */
  halt(rip: bigint): void {
    this.vmx.write(field.activity, activityHlt);
    this.haltedAt = rip;
  }

  controlIsSet(name: VmxControlName): boolean {
    const { word, mask } = placeOf(name);
    return (this.controls[word] & mask) !== 0;
  }

  /** Changes a control of the pin-based or processor-based words; what the guest's VMM wants of its guest stays. */
  setControl(name: VmxControlName, value: boolean): void {
    const { word, mask } = placeOf(name);
    assert(word !== "exit" && word !== "entry", `${name} is an execution control`);
    const { controls } = this;
    const kept = this.nested?.kept(word) ?? 0;
    controls[word] = ((value ? controls[word] | mask : controls[word] & ~mask) | kept) >>> 0;
    this.vmx.write(controlFields[word], BigInt(controls[word]));
  }

  private get controls(): ControlValues {
    return this.nested?.innerControls ?? this.setup.controls;
  }

  /** Allows every access to one page; the function given back undoes it. */
  openPage(guestPhysical: bigint): () => void {
    const close = openEptPage(this.processor, this.setup.eptp, guestPhysical);
    return () => {
      close();
      this.vmx.invalidateEpt(this.setup.eptp);
    };
  }

  /** Gives the guest a page outside its memory. */
  mapHole(guestPhysical: bigint): void {
    mapEptHole(this.processor, this.pages, this.setup.eptp, guestPhysical);
  }

  /** The event whose delivery the exit interrupted has been delivered by the VMM. */
  eventIsDelivered(): void {
    this.isDelivered = true;
  }

  /** What to do when the step under way ends. */
  afterStep(action: () => void): void {
    this.steps.push(action);
  }

  endStep(): void {
    for (const action of this.steps) action();
    this.steps = [];
  }

  /** The HLT itself exited, so that the processor does not know that the guest halted there. */
  protected override tellHalt(): void {
    const { events } = this.guest;
    if (this.haltedAt !== undefined && events.listening) events.append({ kind: "halt", rip: this.haltedAt });
  }

  /** Enters; a stop where an event that waited goes on to a VMM of the level instead. */
  protected enter(): LevelStop | "again" | undefined {
    if (this.hasPendingEvent) {
      this.realMode?.leave();
      const handed = this.handOver();
      if (handed?.stop) return handed.stop;
      if (this.hasPendingEvent) this.offerPendingEvent();
    }
    const prepared = this.realMode && !this.nested?.innerControls ? this.realMode.prepare() : "enter";
    if (prepared !== "enter") return prepared;
    const failure = this.vmx.enter();
    if (failure === undefined) return undefined;
    this.realMode?.leave();
    return this.refuse(`VM entry refuses the guest's state: ${describe(failure)}`);
  }

  /** What waits for the guest is an exit of its guest where that one runs and the guest's VMM asks for it. */
  private handOver(): Taken | undefined {
    const { nested, interrupts } = this;
    if (nested === undefined || (this.vmx.read(field.entryInterruption) & valid) !== 0n) return undefined;
    if (this.nmiWaits && nested.wants("NMI_EXITING")) {
      this.nmiWaits = false;
      return nested.interrupt({ vector: 2, type: eventTypes.nmi });
    }
    const [vector] = interrupts;
    if (vector === undefined || !nested.wants("EXTERNAL_INTERRUPT_EXITING")) return undefined;
    interrupts.shift();
    return nested.interrupt({ vector, type: eventTypes.externalInterrupt });
  }

  protected handle(): LevelStop | undefined {
    this.haltedAt = undefined;
    this.isDelivered = false;
    const reason = this.vmx.read32(field.exitReason);
    assert((reason & entryFailed) === 0, "an exit of a running guest is not a failed entry");
    if (!this.hasPendingEvent && this.realMode?.continues(reason & 0xffff)) return undefined;
    const seat = this.realMode?.leave();
    if (this.realMode?.take(seat, reason & 0xffff)) return undefined;
    const taken = this.nested?.take(reason & 0xffff);
    if (taken) return taken.stop;
    const over = handleExit(this, reason & 0xffff);
    if (over) return over;
    const settled = this.nested?.settle();
    if (settled) return settled.stop;
    const isCut = (this.vmx.read32(field.idtVectoring) & deliveryInterrupted) !== 0;
    if (isCut && !this.isDelivered) this.resumeDelivery();
    return undefined;
  }

  /** An event whose delivery the exit interrupted is not lost: it goes in again, unless something came of it. */
  private resumeDelivery(): void {
    const { vmx } = this;
    const vectoring = vmx.read(field.idtVectoring);
    if ((vmx.read(field.entryInterruption) & valid) !== 0n) return;
    // "Resuming Guest Software after Handling an Exception": an NMI that is to be delivered again blocks none yet.
    const isNmi = ((vectoring >> 8n) & 7n) === BigInt(eventTypes.nmi);
    if (isNmi) vmx.write(field.interruptibility, vmx.read(field.interruptibility) & ~blockedByNmi);
    vmx.write(field.entryInterruption, vectoring & ~(1n << 12n));
    // The exit has set RF, as its own fault would have: what goes in again saves it only where it is a fault itself.
    const event = readEvent(vectoring, () => 0n);
    if (!savesResumeFlag(event)) vmx.write(field.rflags, vmx.read(field.rflags) & ~flagBits.RF);
    if ((vectoring & errorCodeValid) !== 0n) vmx.write(field.entryErrorCode, vmx.read(field.idtVectoringError));
    vmx.write(field.entryInstructionLength, vmx.read(field.exitInstructionLength));
  }

  /** Injects the waiting event that comes first, or asks for an exit as soon as the guest can take it. */
  private offerPendingEvent(): void {
    const taken = (this.vmx.read(field.entryInterruption) & valid) !== 0n;
    const blocking = this.vmx.read(field.interruptibility);
    if (this.nmiWaits) {
      const event: InjectedEvent = { vector: 2, type: eventTypes.nmi };
      if (taken || (blocking & (shadows | blockedByNmi)) !== 0n) this.setControl("NMI_WINDOW_EXITING", true);
      else {
        this.nmiWaits = false;
        this.wakeWith(event);
      }
      return;
    }
    const enabled = (this.vmx.read(field.rflags) & flagBits.IF) !== 0n;
    if (taken || !enabled || (blocking & shadows) !== 0n) this.setControl("INTERRUPT_WINDOW_EXITING", true);
    else this.wakeWith({ vector: this.interrupts.shift() ?? 0, type: eventTypes.externalInterrupt });
  }

  private wakeWith(event: InjectedEvent): void {
    this.vmx.write(field.activity, 0n);
    for (const window of ["INTERRUPT_WINDOW_EXITING", "NMI_WINDOW_EXITING"] as const) {
      if (this.controlIsSet(window)) this.setControl(window, false);
    }
    this.guest.inject(event);
  }
}

function describe(failure: EntryFailure): string {
  const rule = failure.rule === undefined ? "" : `, rule ${failure.rule}`;
  return `${failure.kind} ${failure.number}${rule}`;
}
