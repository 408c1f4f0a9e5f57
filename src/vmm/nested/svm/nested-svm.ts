// SVM for the guest of the `hardware` VMM: the guest's VMM enters and leaves guests of its own, and never knows that the
// processor runs them on a VMCB of this VMM. docs/decisions/0009-nesting.md. AMD APM vol. 2, "Secure Virtual Machine".

import { cr0Bits, flagBits, msrAddresses, svmExitCode, vmcbOffset, type CpuModel } from "../../../isa/index.js";
import type { ReflectedExit } from "../../bundled.js";
import { emulateCpuid } from "../../hardware/cpuid.js";
import { gpr, type InjectedEvent } from "../../hardware/exited-guest.js";
import type { SvmGuest } from "../../hardware/svm/svm-guest.js";
import { Vmcb, vmcbBytes, type VmcbStore } from "../../hardware/svm/vmcb.js";
import { ioMapBytes, msrMapBytes } from "../../hardware/svm/permission-maps.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { VmmPolicy } from "../../policy.js";
import type { EntryFailure, Processor, SvmOperations } from "../../virtualization.js";
import type { Taken } from "../taken.js";
import { MergedBitmap } from "../merged-bitmap.js";
import { InnerSpaces } from "./inner-spaces.js";
import type { InnerTables } from "./merged-npt.js";
import * as merge from "./merge.js";
import { offeredLeaf, offeredVintr } from "./offer.js";
import { noRatio, SvmMsrs } from "./svm-msrs.js";

export interface NestedSvmParts {
  readonly processor: Processor;
  readonly svm: SvmOperations;
  readonly policy: VmmPolicy;
  readonly pages: PageAllocator;
  /** Holds the VMCB in use; the guest's own before the first VMRUN. */
  readonly store: VmcbStore;
  /** Nested tables of the guest itself. */
  readonly root: bigint;
  /** VM_CR as the firmware left it. */
  readonly vmCr: bigint;
  readonly setIntercept: (exit: string, value: boolean) => void;
  /** Takes the guest that runs out of the processor. */
  readonly suspend: () => void;
}

const code = (name: string): bigint => svmExitCode(name) ?? -1n;
const codes = {
  cpuid: code("CPUID"),
  msr: code("MSR"),
  ioio: code("IOIO"),
  npf: code("NPF"),
  nmi: code("NMI"),
  firstException: code("EXCP0"),
} as const;
const instructions: ReadonlyMap<bigint, string> = new Map(
  ["VMRUN", "VMMCALL", "VMLOAD", "VMSAVE", "STGI", "CLGI", "SKINIT", "INVLPGA"].map((name) => [code(name), name]),
);
const place = { asid: vmcbOffset("GUEST_ASID"), root: vmcbOffset("N_CR3") } as const;
const invalid = 0xffff_ffff_ffff_ffffn;
const masking = 1n << 24n;
const virtualIrq = 1n << 8n;
const typeException = 3n;
const injectionValid = 1n << 31n;
const errorCodeValid = 1n << 11n;
const svmFeature = 1 << 2;
const leaves = { extended: 0x8000_0001, svm: 0x8000_000a } as const;
const generalProtection: InjectedEvent = { vector: 13, errorCode: 0 };

const featuresOf = (cpu: CpuModel) => ({
  virtualLoads: cpu.features.includes("V_VMSAVE_VMLOAD"),
  branches: cpu.features.includes("LBRVIRT"),
  virtualGif: cpu.features.includes("VGIF"),
  /** Bits of VINTR that a guest's VMM may use. */
  vintr: offeredVintr(cpu),
});

export class NestedSvm {
  private readonly own: Vmcb;
  private readonly vmcb02: Vmcb;
  private readonly spaces: InnerSpaces;
  private readonly maps: merge.MergedMaps;
  /** A page for VMCBs where the guest has no memory. */
  private readonly nobody: bigint;
  private inner: Vmcb | undefined;
  /** The guest's VMM is a bundled one: what comes back to it stops the run. */
  handsOver = false;
  /** Id of the rule that the last refused VMRUN broke. */
  brokenRule: string | undefined;
  private lastVmcb = 0n;
  /** The VMCB of the guest's VMM that was found last. */
  private inner12: Vmcb | undefined;
  /** The guest's global interrupt flag, and an NMI that it holds back. */
  private gif = true;
  private nmiHeld = false;
  private wasEnabled = false;
  /** VINTR as it is without what GIF = 0 puts there. */
  private heldVintr = 0n;
  readonly held: SvmMsrs;
  /** What the processor has, as far as entries ask. */
  private readonly has: ReturnType<typeof featuresOf>;

  constructor(
    private readonly parts: NestedSvmParts,
    private readonly guest: SvmGuest,
  ) {
    const { processor, pages, store } = parts;
    this.own = store.vmcb;
    this.has = featuresOf(guest.platform.cpu);
    const address = BigInt(pages.take());
    processor.writePhysical(address, new Uint8Array(vmcbBytes));
    this.vmcb02 = new Vmcb(address, processor.window(address, vmcbBytes));
    this.spaces = new InnerSpaces(processor, pages, parts.policy.memory);
    this.maps = {
      io: this.mergedMap("IOPM_BASE_PA", ioMapBytes),
      msrs: this.mergedMap("MSRPM_BASE_PA", msrMapBytes),
    };
    this.held = new SvmMsrs(guest, parts.vmCr);
    this.nobody = BigInt(pages.take());
  }

  private mergedMap(field: string, lengthBytes: number): MergedBitmap {
    const { processor, pages } = this.parts;
    const address = BigInt(pages.take(lengthBytes / 0x1000));
    return new MergedBitmap(processor, this.own.readU64(vmcbOffset(field)), address, lengthBytes);
  }

  /** Address of the VMCB of the guest's last VMRUN. */
  get currentVmcb(): bigint {
    return this.lastVmcb;
  }

  /** The guest's physical address behind one of the guest that runs. */
  physical(address: bigint): bigint | undefined {
    const { inner } = this;
    return inner && merge.usesNestedPaging(inner)
      ? this.spaces.tables.translate(this.tablesOf(inner), address)
      : address;
  }

  /** Deals with an exit if it concerns SVM of the guest; undefined where it is handled as any other. */
  take(exit: bigint): Taken | undefined {
    if (exit === codes.nmi && !this.gif) return this.holdNmi();
    const taken = this.inner && this.fromInner(this.inner, exit);
    if (taken) return taken;
    if (exit === codes.cpuid) return this.cpuid();
    if (exit === codes.msr) return this.held.take();
    const name = instructions.get(exit);
    return name === undefined ? undefined : this.instruction(name);
  }

  private cpuid(): Taken {
    const { guest } = this;
    guest.classify("public");
    const number = guest.general32(gpr.rax);
    emulateCpuid(guest);
    if (number === leaves.extended) guest.setGeneral32(gpr.rcx, guest.general32(gpr.rcx) | svmFeature);
    if (number === leaves.svm) {
      const { eax, ebx, ecx, edx } = offeredLeaf(guest.platform.cpu);
      [eax, ecx, edx, ebx].forEach((value, register) => guest.setGeneral32(register, value));
    }
    guest.emulated("CPUID");
    guest.advance();
    return {};
  }

  // Instructions ----------------------------------------------------------------------------------------------------

  /** An instruction of SVM by the guest, or by its guest where that one's VMM leaves it alone. */
  private instruction(name: string): Taken {
    const { guest } = this;
    guest.classify("assist");
    // The processor has checked mode and CPL, and that the operand is a page within the address width.
    const address = guest.codeBits === 64 ? guest.general(gpr.rax) : BigInt(guest.general32(gpr.rax));
    if (!this.held.isEnabled || name === "VMMCALL" || name === "SKINIT") guest.inject({ vector: 6 });
    else if (name === "VMRUN" && this.held.hostSave === 0n) guest.inject(generalProtection);
    else if (name === "VMRUN") return this.vmrun(address);
    else {
      this.carryOut(name, address);
      guest.advance();
    }
    return {};
  }

  private carryOut(name: string, address: bigint): void {
    switch (name) {
      case "VMLOAD":
        merge.copyFurtherState(this.guest.vmcb, this.inMemory(address));
        break;
      case "VMSAVE":
        merge.copyFurtherState(this.inMemory(address), this.guest.vmcb);
        break;
      case "STGI":
        this.setGif(true);
        break;
      case "CLGI":
        this.setGif(false);
        break;
      default:
        this.spaces.drop();
        this.parts.svm.invalidate();
    }
  }

  /** A VMCB in the guest's memory, ready to be written. Where the guest has none it reads as ones. */
  private inMemory(address: bigint): Vmcb {
    const { inner12 } = this;
    if (inner12?.address === address) {
      // It goes through the door again, as it may have been reset since.
      this.parts.processor.writeU64(address, this.parts.processor.readU64(address));
      return inner12;
    }
    const found = this.findInMemory(address);
    if (this.guest.isMemory(address)) this.inner12 = found;
    return found;
  }

  private findInMemory(address: bigint): Vmcb {
    const { processor } = this.parts;
    const isMemory = this.guest.isMemory(address);
    const at = isMemory ? address : this.nobody;
    if (isMemory) processor.writeU64(at, processor.readU64(at));
    else processor.writePhysical(at, new Uint8Array(vmcbBytes).fill(0xff));
    return new Vmcb(address, processor.window(at, vmcbBytes));
  }

  /**
   * "Global Interrupt Flag": while it is 0 neither interrupts nor NMIs reach the guest, nor virtual interrupts its own
   * guest. Interrupts are masked by the flag of this VMM, as V_INTR_MASKING has it; NMIs exit and wait.
   */
  private setGif(value: boolean): void {
    if (value === this.gif) return;
    this.gif = value;
    const { setIntercept, policy, svm } = this.parts;
    const { vmcb } = this.parts.store;
    if (!value) {
      this.heldVintr = vmcb.get("vintr");
      vmcb.set("vintr", ((this.heldVintr & masking) === 0n ? masking : this.heldVintr) & ~virtualIrq);
      setIntercept("NMI", true);
      this.setOuterFlag(0n);
      return;
    }
    const tpr = vmcb.get("vintr") & 0xffn;
    vmcb.set("vintr", (this.heldVintr & masking) === 0n ? this.heldVintr : (this.heldVintr & ~0xffn) | tpr);
    const isAsked =
      policy.intercepts.includes("NMI") || (this.inner && merge.intercepts(this.inner, codes.nmi)) === true;
    setIntercept("NMI", isAsked);
    this.setOuterFlag(this.inner ? this.own.get("rflags") & flagBits.IF : 0n);
    if (this.nmiHeld) svm.putBackNmi();
    this.nmiHeld = false;
  }

  /** The interrupt flag of this VMM, which counts under V_INTR_MASKING. */
  private setOuterFlag(flag: bigint): void {
    this.parts.processor.setRegister("RFLAGS", 2n | flag);
  }

  /** What the guest's VMM has only while it has SVM enabled: VMLOAD and VMSAVE of its own, and #GP without an exit. */
  private followEnable(): void {
    const { isEnabled } = this.held;
    if (this.inner || isEnabled === this.wasEnabled) return;
    this.wasEnabled = isEnabled;
    const { policy, setIntercept } = this.parts;
    setIntercept("#GP", !isEnabled || policy.intercepts.includes("#GP"));
    // What a bundled VMM executes takes no time of its guest, as long as it exits.
    const virtualizes = this.has.virtualLoads && !this.handsOver;
    if (virtualizes) merge.virtualizeLoads(this.own, isEnabled);
  }

  /** Under the masking that GIF brings CR8 is the VMCB's: it follows the processor's own from exit to entry. */
  beforeEntry(): void {
    this.followEnable();
    if (this.gif || (this.heldVintr & masking) !== 0n) return;
    const { processor, store } = this.parts;
    store.vmcb.set("vintr", (store.vmcb.get("vintr") & ~0xffn) | processor.register("CR8"));
  }

  afterExit(): void {
    if (this.gif || (this.heldVintr & masking) !== 0n) return;
    const { processor, store } = this.parts;
    processor.setRegister("CR8", store.vmcb.get("vintr") & 0xfn);
  }

  private holdNmi(): Taken {
    this.guest.classify("internal");
    this.nmiHeld = true;
    return {};
  }

  // VMRUN -----------------------------------------------------------------------------------------------------------

  private vmrun(address: bigint): Taken {
    const { guest, own, vmcb02 } = this;
    const { processor, store, root } = this.parts;
    const { rip } = guest;
    const vmcb12 = this.inMemory(address);
    this.lastVmcb = address;
    guest.advance();
    const failure = this.check(address);
    if (failure) return this.reject(vmcb12, failure.rule ?? "", rip);
    this.setGif(true);
    merge.mergeIntercepts({ own, vmcb12, vmcb02 }, this.maps, this.has.vintr);
    const space = this.spaces.choose({
      asid: vmcb12.readU32(place.asid),
      cr3: merge.usesNestedPaging(vmcb12) ? this.tablesOf(vmcb12).cr3 : undefined,
      tlbControl: merge.tlbControl(vmcb12),
    });
    merge.writeInner(own, vmcb12, vmcb02, {
      ...space,
      root: space.root ?? root,
      vintr: vmcb12.get("vintr") & this.has.vintr,
      virtualLoads: this.has.virtualLoads,
      branches: this.has.branches,
    });
    // Under V_INTR_MASKING the flag of the guest's VMM decides whether physical interrupts are taken.
    this.setOuterFlag(own.get("rflags") & flagBits.IF);
    if (this.held.ratio !== noRatio) processor.writeMsr(msrAddresses.TSC_RATIO, this.held.ratio);
    store.vmcb = vmcb02;
    this.inner = vmcb12;
    if (guest.events.listening) guest.events.entered(rip, address, vmcb12.get("rip"));
    return {};
  }

  /** The processor's own checks. They look at the paging of the guest's VMM in one place. */
  private check(address: bigint): EntryFailure | undefined {
    const { processor, svm } = this.parts;
    const cr0 = processor.register("CR0");
    const theirs = this.own.get("cr0");
    const isOther = ((cr0 ^ theirs) & cr0Bits.PG) !== 0n;
    if (isOther) processor.setRegister("CR0", theirs);
    const failure = svm.check(this.guest.isMemory(address) ? address : this.nobody);
    if (isOther) processor.setRegister("CR0", cr0);
    return failure;
  }

  /** The nested tables are read as the mode of the guest's VMM says. */
  private tablesOf(vmcb12: Vmcb): InnerTables {
    return { cr3: vmcb12.readU64(place.root), cr4: this.own.get("cr4"), efer: this.own.get("efer") };
  }

  /** VMEXIT_INVALID. */
  private reject(vmcb12: Vmcb, rule: string, rip: bigint): Taken {
    const { events } = this.guest;
    this.brokenRule = rule;
    if (events.listening) events.append({ kind: "reject", subject: "INVALID", rule, rip });
    vmcb12.set("exitcode", invalid);
    for (const name of ["exitinfo1", "exitinfo2", "exitintinfo"] as const) vmcb12.set(name, 0n);
    return this.goOn();
  }

  // #VMEXIT ---------------------------------------------------------------------------------------------------------

  private fromInner(vmcb12: Vmcb, exit: bigint): Taken | undefined {
    const { guest } = this;
    const nested = merge.usesNestedPaging(vmcb12);
    if (exit === codes.npf && nested) return this.nestedPageFault(vmcb12);
    if (!this.isOwnedByInner(vmcb12, exit)) return undefined;
    guest.classify(merge.intercepts(this.own, exit) ? "public" : "internal");
    // For the guest's VMM the NMI waits for its GIF; for this one the exit has taken it.
    if (exit === codes.nmi) this.nmiHeld = true;
    return this.reflect(vmcb12);
  }

  private isOwnedByInner(vmcb12: Vmcb, exit: bigint): boolean {
    const { guest } = this;
    const { processor } = this.parts;
    const info1 = guest.vmcb.get("exitinfo1");
    if (exit === codes.msr) {
      return merge.interceptsMsr(processor, vmcb12, guest.general32(gpr.rcx), (info1 & 1n) !== 0n);
    }
    if (exit === codes.ioio) {
      const access = Number(info1 & 0xffff_ffffn);
      return merge.interceptsPort(processor, vmcb12, access >>> 16, (access >> 4) & 7);
    }
    return merge.intercepts(vmcb12, exit);
  }

  private nestedPageFault(vmcb12: Vmcb): Taken {
    const { guest, vmcb02 } = this;
    const outcome = this.spaces.tables.fault(this.tablesOf(vmcb12), vmcb02.get("exitinfo2"), vmcb02.get("exitinfo1"));
    guest.classify(outcome.kind === "denied" ? "public" : "internal");
    if (outcome.kind === "inner") return this.reflect(vmcb12);
    if (outcome.kind === "filled") {
      this.parts.svm.invalidate();
      return {};
    }
    const why = "a nested guest needs memory that the declared policy denies";
    if (guest.events.listening) guest.events.append({ kind: "refuse", rip: guest.rip, note: why });
    return { stop: { kind: "refused", why } };
  }

  /** The exit goes on to the guest's VMM. */
  private reflect(vmcb12: Vmcb, as?: ReflectedExit): Taken {
    const { guest } = this;
    if (guest.events.listening) guest.events.reflect(vmcb12.address, as);
    this.putBack(vmcb12);
    return this.goOn();
  }

  /** An exception that this VMM raised in the guest's guest is an exit where that one's VMM asks for it. */
  settle(): Taken | undefined {
    const { inner, vmcb02 } = this;
    if (inner === undefined || !this.guest.hasInjected) return undefined;
    const event = vmcb02.get("eventinj");
    const exit = codes.firstException + (event & 0xffn);
    const isException = (event & injectionValid) !== 0n && ((event >> 8n) & 7n) === typeException;
    if (!isException || !merge.intercepts(inner, exit)) return undefined;
    vmcb02.set("eventinj", 0n);
    vmcb02.set("exitcode", exit);
    vmcb02.set("exitinfo1", event >> 32n);
    vmcb02.set("exitinfo2", (event & 0xffn) === 14n ? vmcb02.get("cr2") : 0n);
    vmcb02.set("exitintinfo", 0n);
    vmcb02.set("nrip", 0n);
    this.guest.hasInjected = false;
    const hasCode = (event & errorCodeValid) !== 0n;
    const subject = `EXCP${event & 0xffn}`;
    return this.reflect(inner, { subject, fields: hasCode ? { code: event >> 32n } : {} });
  }

  /** Takes a guest's guest that runs out of the processor: its state is then in the VMCB of its VMM. */
  leaveInner(): void {
    this.parts.suspend();
    if (this.inner) this.putBack(this.inner);
  }

  get isInnerRunning(): boolean {
    return this.inner !== undefined;
  }

  /** The state of the inner guest goes into 12, and 01 is in use again. */
  private putBack(vmcb12: Vmcb): void {
    const { own, vmcb02 } = this;
    const { processor, store } = this.parts;
    this.setGif(true);
    // The window was made ready at VMRUN; what the guest's VMM runs on is written now.
    merge.saveInner(own, vmcb12, vmcb02, this.has.virtualGif);
    if (this.held.ratio !== noRatio) processor.writeMsr(msrAddresses.TSC_RATIO, noRatio);
    this.setOuterFlag(0n);
    store.vmcb = own;
    this.inner = undefined;
    merge.loadHostState(own);
  }

  /** The guest's VMM goes on behind its VMRUN, with its GIF 0. */
  private goOn(): Taken {
    merge.loadHostState(this.own);
    this.setGif(false);
    return this.handsOver ? { stop: { kind: "vm-exit" } } : {};
  }
}
