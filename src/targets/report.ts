// The report of a carried image, as events again, so that the judge decides a foreign machine's run like our own.
// docs/carried.md describes the lines; src/compiler/carried/ sends them.

import { hex } from "../base/index.js";
import { exceptionByVector, findVmxExit } from "../isa/index.js";
import { svmOutcome, vmxOutcome, type EntryOutcome } from "./exit-report.js";
import { planStamp } from "../program/index.js";
import type { EventPlan, FieldValue, PlannedLine, RunEnd, RunEvent, RunLog } from "../program/index.js";

/** What is known beside the report. */
export interface ReportOptions {
  /** How the machine ended: it stopped or was reset, it halted for good, or it was still running when time was up. */
  readonly ended?: "stopped" | "halted" | "timed-out";
}

/** The log of a run from what came over the serial port. Lines that are no report are passed over. */
export function readReport(serialText: string, plan: EventPlan, options: ReportOptions = {}): RunLog {
  const reader = new ReportReader(plan);
  for (const line of serialText.split("\n")) reader.take(line.trimEnd());
  return reader.finish(options);
}

/** Letters with which the report's lines begin, then numbers of 16 digits; the place of a point follows behind `@`. */
const reportLine = /^([svtpfduanexyio])((?: [0-9a-f]{16})*)(?:@ ([0-9a-f]{16}))?$/;

class ReportReader {
  private readonly events: RunEvent[] = [];
  private readonly finalValues = new Map<number, readonly bigint[]>();
  /** The virtual time is not known: events are numbered, so that no two visits are taken for one. */
  private time = 0n;
  private started = false;
  private end: RunEnd | undefined;
  /** The line that may end the machine and was about to run, until the report goes on. */
  private announced: number | undefined;
  /** Where the visit that was last concluded from an event began, until a line is visited. */
  private lastBegun: bigint | undefined;
  /** The entry that is under way has been reported. */
  private inside = false;

  constructor(private readonly plan: EventPlan) {}

  take(line: string): void {
    const match = reportLine.exec(line);
    if (!match || this.end) return;
    const [, letter = "", digits = "", place] = match;
    const numbers = digits
      .split(" ")
      .slice(1)
      .map((text) => BigInt(`0x${text}`));
    if (letter === "s") return this.start(numbers[0]);
    if (this.started) this.takeEvent(letter, numbers, place === undefined ? 0n : BigInt(`0x${place}`));
  }

  finish({ ended = "stopped" }: ReportOptions): RunLog {
    const end = this.end ?? (this.started ? this.cutOff(ended) : silent);
    // A report that breaks off lacks values; its end alone fails the run.
    for (const index of this.plan.finals) {
      const reads = this.plan.expectations[index]?.reads ?? [];
      if (!this.finalValues.has(index))
        this.finalValues.set(
          index,
          reads.map(() => 0n),
        );
    }
    const { events, finalValues } = this;
    return { events, end, finalValues, instructions: 0n };
  }

  private start(stamp: bigint | undefined): void {
    if (stamp === BigInt(planStamp(this.plan))) this.started = true;
    else this.end = { kind: "unsupported", what: "the report is that of another program" };
  }

  private takeEvent(letter: string, numbers: readonly bigint[], place: bigint): void {
    const [first = 0n, ...rest] = numbers;
    this.announced = undefined;
    switch (letter) {
      case "v":
        return this.visits(Number(first), rest[0] ?? 0n);
      case "t":
        return this.trap(Number(first), rest);
      case "p":
        return this.append({ kind: "probe", rip: this.endOfLineBefore(place), index: Number(first), values: rest });
      case "f":
        this.finalValues.set(Number(first), rest);
        return;
      case "d":
        this.append({ kind: "done", rip: this.endOfLineBefore(place) });
        this.end = { kind: "done" };
        return;
      case "a":
        this.announced = Number(first);
        return;
      case "n":
        return this.failure(Number(first), rest[0] ?? 0n);
      case "e":
        return this.entry(Number(first), rest[0] ?? 0n);
      case "i":
        return this.injection(first, rest);
      case "o":
        return this.over(first, rest);
      case "x":
        return this.outcome(Number(first), vmxOutcome(rest));
      case "y":
        return this.outcome(Number(first), svmOutcome(rest));
      default:
        this.end = this.unexpected();
    }
  }

  /** The line ran so often since the last report. */
  private visits(index: number, count: bigint): void {
    const line = this.plan.lines[index];
    if (!line) return;
    this.lastBegun = undefined;
    for (let i = 0n; i < count; i++) this.append({ kind: "visit", rip: line.address, index });
  }

  private trap(vector: number, [error = 0n, cr2 = 0n, dr6 = 0n, ip = 0n]: readonly bigint[]): void {
    const exception = exceptionByVector(vector);
    const fields: Record<string, FieldValue> = {};
    if (exception === undefined) fields["vector"] = BigInt(vector);
    if (exception?.hasErrorCode === true) fields["code"] = error;
    if (exception?.name === "#PF") fields["address"] = cr2;
    if (exception?.name === "#DB") fields["dr6"] = dr6 & debugCauses;
    const rip = followsInstruction(vector, dr6) ? this.startOfLineBefore(ip) : this.begun(ip);
    this.append({ kind: "trap", subject: exception?.name ?? "INT", fields, rip });
  }

  private failure(line: number, error: bigint): void {
    const rip = this.plan.lines[line]?.address ?? 0n;
    if (error === 0n) this.append({ kind: "fail", subject: "VMfailInvalid", rip });
    else this.append({ kind: "fail", subject: "VMfailValid", fields: { error }, rip });
  }

  private entry(line: number, inner: bigint): void {
    this.inside = true;
    this.append({ kind: "enter", subject: this.guestAt(inner), rip: this.plan.lines[line]?.address ?? 0n });
  }

  /** The image's VMM has an exit of its guest. */
  private exitToVmm({ event, rip: saved }: EntryOutcome): void {
    const rip = findVmxExit(event.subject ?? "")?.trapLike ? this.startOfLineBefore(saved) : this.begun(saved);
    this.append({ ...event, to: vmm, class: "public", rip });
  }

  private injection(information: bigint, [error = 0n, cr2 = 0n, rip = 0n]: readonly bigint[]): void {
    const vector = Number(information & 0xffn);
    const exception = exceptionByVector(vector);
    const fields: Record<string, FieldValue> = {};
    if ((information & errorCodeValid) !== 0n) fields["code"] = error;
    if (exception?.name === "#PF") fields["address"] = cr2;
    this.append({ kind: "inject", subject: exception?.name ?? "INT", fields, rip });
  }

  /** The guest that the image's VMM ran has ended. */
  private over(how: bigint, [rip = 0n, code = 0n]: readonly bigint[]): void {
    if (how === over.halted || how === over.shutdown) {
      this.append({ kind: how === over.halted ? "halt" : "shutdown", rip });
      this.end = { kind: how === over.halted ? "halted" : "shutdown" };
    } else if (how === over.stopped) this.end = { kind: "done" };
    else this.end = { kind: "unsupported", what: `an exit that the library's hv does not handle (${hex(code)})` };
  }

  private outcome(line: number, outcome: EntryOutcome): void {
    const outer = this.plan.lines[line];
    if (!outer) return this.exitToVmm(outcome);
    const { entered, event, rip: saved } = outcome;
    if (!entered) return this.append({ ...event, rip: outer?.address ?? 0n });
    if (!this.inside) this.entry(line, saved);
    // Exits that follow their instruction save the next one's address.
    const rip = findVmxExit(event.subject ?? "")?.trapLike ? this.startOfLineBefore(saved) : this.begun(saved);
    this.inside = false;
    this.append({ ...event, guest: this.guestAt(rip), to: outer?.guest ?? "", rip });
  }

  /** The guest whose code lies nearest before an address. */
  private guestAt(address: bigint): string {
    let nearest: PlannedLine | undefined;
    for (const line of this.plan.lines) {
      if (line.address <= address && (!nearest || line.address > nearest.address)) nearest = line;
    }
    return nearest?.guest ?? "";
  }

  /** An image falls silent where it halts or hangs, or where a triple fault resets its machine. */
  private cutOff(ended: ReportOptions["ended"]): RunEnd {
    const line = this.announced === undefined ? undefined : this.plan.lines[this.announced];
    if (line) this.append({ kind: ended === "stopped" ? "shutdown" : "halt", rip: line.address });
    if (ended === "stopped") return { kind: "shutdown" };
    return { kind: line || ended === "halted" ? "halted" : "budget-spent" };
  }

  /** A line begins with the code that counts its visit: what happens there is the line's own, and its visit. */
  private begun(ip: bigint): bigint {
    const index = this.plan.lines.findIndex(
      (l) => l.visitAddress !== undefined && l.visitAddress <= ip && ip < l.address,
    );
    const line = this.plan.lines[index];
    if (!line) return ip;
    if (this.lastBegun !== ip) this.append({ kind: "visit", rip: line.address, index });
    this.lastBegun = ip;
    return line.address;
  }

  /** A trap belongs to the line just retired; its frame names the instruction behind. */
  private startOfLineBefore(ip: bigint): bigint {
    const before = ip - 1n;
    const line = this.plan.lines.find((l) => before >= l.address && before < l.address + BigInt(l.lengthBytes));
    return line?.address ?? ip;
  }

  /** Points are code here; their place is the end of the line before, where the bundled lowering has them. */
  private endOfLineBefore(place: bigint): bigint {
    let end = 0n;
    for (const line of this.plan.lines) {
      const lineEnd = line.address + BigInt(line.lengthBytes);
      if (lineEnd <= place && lineEnd > end) end = lineEnd;
    }
    return end === 0n ? place : end;
  }

  private unexpected(): RunEnd {
    const event = this.events.findLast((e) => e.kind === "trap");
    return event ? { kind: "unexpected", event } : { kind: "unsupported", what: "a trap that was not reported" };
  }

  private append(event: Pick<RunEvent, "kind" | "rip"> & Partial<RunEvent>): void {
    const guest = this.guestAt(event.rip) || (this.plan.lines[0]?.guest ?? "");
    this.events.push({ fields: {}, guest, retired: this.time++, ...event });
  }
}

const silent: RunEnd = { kind: "unsupported", what: "the image sent no report" };

/** The party that the image's VMM is, in events and judgements. */
const vmm = "vmm";

/** Numbers of `o` lines. */
const over = { halted: 1n, shutdown: 2n, stopped: 3n } as const;

/** Bit 11 of an injected event, as both vendors have it. */
const errorCodeValid = 0x800n;

/** The bits of DR6 that say why: B0 to B3, BD, BS, BT. */
const debugCauses = 0xe00fn;
const singleStep = 0x4000n;

function followsInstruction(vector: number, dr6: bigint): boolean {
  const info = exceptionByVector(vector);
  return info?.class === "trap" || (vector === 1 && (dr6 & singleStep) !== 0n);
}
