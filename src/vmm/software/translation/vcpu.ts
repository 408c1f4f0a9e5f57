// `binary_translation`: code of the guest's kernel never runs as it is. What is not sensitive runs in a translation, the
// rest the VMM carries out, so that the guest sees what its own processor would show. Code of ring 3 runs directly.
//
// While translated code runs, CS and GS of the processor are the VMM's. Whenever it stops, the guest's own are put back
// and RIP is that of the guest, so that everything else in this VMM sees the guest's state and nothing of the cache.

import { flagBits } from "../../../isa/index.js";
import type { DeliveredEvent } from "../../../machine/index.js";
import type { SegmentState } from "../../../program/index.js";
import type { VmmStop } from "../../bundled.js";
import { fetchInstruction, type GuestInstruction } from "../../emulation/instruction.js";
import { linearOf } from "../../emulation/operands.js";
import { kernelRing } from "../shared/ring-compression.js";
import { SoftwareVcpu, type GuestRun, type SoftwareVcpuParts } from "../shared/software-vcpu.js";
import { ownSegments, vmmSelectors } from "../shared/window.js";
import { cacheLayout, CodeCache, type Block, type Place } from "./code-cache.js";
import { isSensitive } from "./sensitive.js";
import { mayExecute, missCode, Translator } from "./translator.js";

const handled = { kind: "handled" } as const;
const pageShift = 12n;
const protection = 13;
const hardwareException = 3;
const breakpointsEnabled = 0xffn;
/** Below so many instructions a translation is not worth entering, and may not fit. */
const leastBudget = 64;
/** The segments of translated code: they reach the window, which those of the guest do not. */
const ownCode: SegmentState = { selector: vmmSelectors.translated | kernelRing, ...ownSegments.translated };
const ownData: SegmentState = { selector: vmmSelectors.data | kernelRing, ...ownSegments.data };

export class TranslationVcpu extends SoftwareVcpu {
  private readonly cache: CodeCache;
  private readonly translator: Translator;
  private readonly savePhysical: bigint;
  /** CS and GS of the guest while the cache has theirs. */
  private outside: { readonly cs: SegmentState; readonly gs: SegmentState } | undefined;
  /** Physical pages whose writes must be seen because code of them is translated. */
  private readonly followed = new Set<bigint>();
  /** The code segment that the translations are of. */
  private translatedSegment = "";

  constructor(parts: SoftwareVcpuParts) {
    super(parts);
    const { more } = parts.window;
    this.cache = new CodeCache(parts.processor, parts.ringZero, more, missCode(more.linear));
    this.translator = new Translator(this.guest, parts, this.cache);
    this.savePhysical = BigInt(more.physical);
    this.guest.onPagingChange = () => this.cache.flush();
  }

  protected runGuest(budgetInstructions: number): GuestRun {
    const { guest } = this;
    if (guest.cpl === 3) return guest.processor.run(budgetInstructions);
    if (budgetInstructions < leastBudget || !this.mayTranslate()) return this.step();
    return this.runTranslated(budgetInstructions);
  }

  /** Translated code has no single steps and no breakpoints, and is of 32-bit code on 32-bit stacks. */
  private mayTranslate(): boolean {
    const { guest } = this;
    const { processor } = guest;
    if (guest.codeBits !== 32 || !guest.stackIsWide || guest.interruptShadow) return false;
    const isStepped = (processor.register("RFLAGS") & (flagBits.TF | flagBits.RF)) !== 0n;
    return !isStepped && (processor.register("DR7") & breakpointsEnabled) === 0n;
  }

  // Translated code ----------------------------------------------------------------------------------------------------

  private runTranslated(budgetInstructions: number): GuestRun {
    const { guest, cache } = this;
    const { processor } = guest;
    const block = this.blockAt(Number(guest.rip));
    // RIP is left alone where the VMM acts at once: the run's points there may be behind it.
    if (block.startsWithCallOut) return this.step();
    this.enter(block);
    let stop = processor.run(budgetInstructions);
    for (;;) {
      const place = cache.placeAt(processor.register("RIP"));
      // INIT has taken the processor to its reset state.
      if (place === undefined && stop.kind === "shutdown") return stop;
      if (place === undefined) throw new Error("internal error: translated code ran out of the cache");
      if (place.kind === "inner") {
        // An event that came in the middle waits until the guest has a state again.
        if (stop.kind === "privilege") this.keepInterrupt(BigInt(place.rip));
        stop = processor.run(1);
        continue;
      }
      this.leave(place);
      if (stop.kind !== "privilege" || place.kind === "start") return stop;
      return this.atCallOut(place) ?? stop;
    }
  }

  /** What stopped translated code on purpose; undefined for an event that came at that place. */
  private atCallOut(place: Place): GuestRun | undefined {
    const transfer = this.ringZero.transfer();
    const isHalt = transfer.kind === "event" && transfer.vector === protection && transfer.type === hardwareException;
    if (!isHalt) return undefined;
    if (place.kind === "callout") return this.step();
    if (place.kind === "exit") this.link(place);
    else this.answerMiss();
    return handled;
  }

  /** The next indirect jump to where the guest is now finds the block, if there is one. */
  private answerMiss(): void {
    const block = this.cache.find(Number(this.guest.rip));
    if (block !== undefined) this.cache.leadTo(block);
  }

  private link(exit: Place): void {
    const { cache } = this;
    if (cache.isFull) {
      cache.flush();
      return;
    }
    cache.link(exit, cache.find(exit.rip) ?? this.translate(exit.rip));
  }

  private blockAt(rip: number): Block {
    const { cache } = this;
    const cs = this.guest.processor.segment("CS");
    const segment = `${cs.base} ${cs.limitBytes}`;
    if (segment !== this.translatedSegment || cache.isFull) cache.flush();
    this.translatedSegment = segment;
    return cache.find(rip) ?? this.translate(rip);
  }

  /** CS, GS and RIP become those of the translation. */
  private enter(block: Block): void {
    const { guest, cache } = this;
    const { processor } = guest;
    this.outside = { cs: processor.segment("CS"), gs: processor.segment("GS") };
    processor.setSegment("CS", ownCode);
    processor.setSegment("GS", ownData);
    processor.setRegister("RIP", BigInt(cache.linearOf(block)));
  }

  /** The guest's own state again, as it is at a place. */
  private leave({ rip, kind }: Place): void {
    const { processor } = this.guest;
    const { outside } = this;
    if (outside === undefined) return;
    this.outside = undefined;
    processor.setSegment("CS", outside.cs);
    processor.setSegment("GS", outside.gs);
    processor.setRegister("RIP", BigInt(kind === "miss" ? this.target : rip));
  }

  /** Where the last indirect jump leads. */
  private get target(): number {
    return this.guest.processor.readU32(this.savePhysical + BigInt(cacheLayout.target));
  }

  private translate(rip: number): Block {
    const block = this.translator.translate(rip);
    // The guest's code must not change unseen: its pages are mapped again, without the right to write.
    if (block.pages.some((page) => !this.followed.has(page))) {
      for (const page of block.pages) this.followed.add(page);
      this.guest.forgetTranslations();
    }
    return block;
  }

  protected override follows(physical: bigint): boolean {
    return this.followed.has(physical >> pageShift) || super.follows(physical);
  }

  protected override written(physical: bigint): void {
    const page = physical >> pageShift;
    if (this.followed.delete(page)) this.cache.drop(page);
    super.written(physical);
  }

  protected override instructionRip(event: DeliveredEvent): bigint {
    return this.cache.placeAt(event.instructionRip) === undefined ? event.instructionRip : this.guest.rip;
  }

  // One at a time ------------------------------------------------------------------------------------------------------

  /** One instruction of the kernel: where it is, unless it is sensitive. */
  private step(): GuestRun {
    const instruction = fetchInstruction(this.guest, this.guest.rip);
    // The processor finds out what is wrong with an instruction that cannot be fetched.
    if (instruction === undefined || !mayExecute(this.guest, instruction)) return this.stepInPlace();
    if (!isSensitive(instruction, this.instructions)) return this.stepInPlace();
    return this.carryOutAt(instruction) ?? this.stepInPlace();
  }

  /** One instruction in the guest's own memory: a single step of the VMM's. */
  private stepInPlace(): GuestRun {
    const stop = this.guest.processor.run(1);
    if (stop.kind !== "budget-spent") return stop;
    this.guest.interruptShadow = false;
    return handled;
  }

  /** Carries out a sensitive instruction at RIP, its points passed; undefined where the case at hand is not sensitive. */
  private carryOutAt(instruction: GuestInstruction): VmmStop | typeof handled | undefined {
    const { guest, ringZero } = this;
    const { rip } = instruction;
    const at = linearOf(guest, "CS", rip, 1);
    const physical = "fault" in at ? undefined : guest.translate(at.linear);
    const point = physical === undefined ? undefined : ringZero.passPoints(physical);
    if (point !== undefined) return { kind: "point", index: point };
    const done = this.carryOut(instruction, { rip, savedRip: rip });
    return done === "done" ? handled : done;
  }
}
