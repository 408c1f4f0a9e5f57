// Generated texts for the formatter: every shape of the grammar at random, laid out at random. What they say has no
// meaning; that they can be read is all that counts.

import type { Random } from "../hostcpu/random.js";

const words = ["a", "eax", "RAX", "value", "CR0.PE", ".local", "l2.label", "on", "to", "byte", "lock", "trap", "align"];
const heads = ["mov", "CPUID", "poke", "hv.start", "expect", "ring", "data", "guest", "db", "zero", "if", "row", "on"];
const operators = ["+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^"];

/** A text that parses. */
export function randomProgram(random: Random): string {
  return new Program(random).statements(0, 1 + random.below(12));
}

class Program {
  constructor(private readonly random: Random) {}

  statements(depth: number, count: number): string {
    return Array.from({ length: count }, () => this.statement(depth) + this.lineEnd()).join("");
  }

  private statement(depth: number): string {
    const { random } = this;
    const label = random.chance(20) ? `${random.pick(["x", ".y", "long_label"])}:${this.gap(0)}` : "";
    if (label !== "" && random.chance(30)) return label;
    const prefix = random.chance(10) ? `${random.pick(["lock", "REP", "o16"])} ` : "";
    const args = random.chance(80) ? ` ${this.list(() => this.arg(2), 3)}` : "";
    const block = random.chance(25) && depth < 4 ? this.gap(1) + this.block(depth + 1) : "";
    const events = random.chance(40) ? this.gap(1) + this.events() : "";
    const below = events !== "" && random.chance(30) ? this.below() : "";
    return this.gap(0) + label + prefix + random.pick(heads) + args + block + events + below;
  }

  private below(): string {
    const on = this.random.chance(70) ? `on ${this.list(() => this.random.pick(["vtx1", "svm2", "x"]), 3)}` : "";
    return `${this.lineEnd()}${this.gap(0)}${on} ${this.events()}`;
  }

  private block(depth: number): string {
    if (this.random.chance(30))
      return `{${this.gap(0)}${this.random.pick(["nop", "", "x: mov eax, 1"])}${this.gap(0)}}`;
    return `{${this.lineEnd()}${this.statements(depth, this.random.below(4))}${this.gap(0)}}`;
  }

  private arg(depth: number): string {
    const { random } = this;
    const term = this.expr(depth);
    if (random.chance(10)) return `${term}..${this.expr(depth)}`;
    if (random.chance(10)) return `${term}${this.gap(0)}=${this.gap(0)}${this.expr(depth)}`;
    if (random.chance(5)) return `${term}:${this.gap(0)}${this.expr(depth)}`;
    return random.chance(15) ? `dword ${term}` : random.chance(10) ? `${term} ${random.pick(words)}` : term;
  }

  private expr(depth: number): string {
    const { random } = this;
    const count = 1 + (random.chance(30) ? random.below(3) : 0);
    let text = this.unary(depth);
    for (let i = 1; i < count; i++) {
      text += `${this.gap(0)}${random.pick(operators)}${this.gap(0)}${this.unary(depth)}`;
    }
    return text;
  }

  private unary(depth: number): string {
    const { random } = this;
    const sign = random.chance(15) ? random.pick(["-", "~", "!", "- "]) : "";
    const inner = depth > 0 ? random.below(9) : random.below(5);
    const gap = this.gap(0);
    const texts = [
      () => random.pick(["0", "0x1F", "1fh", "4K", "0b1"]),
      () => random.pick(words),
      () => random.pick(['"a b"', "'x;y'", "`\\n`"]),
      () => random.pick(["$", "$$", "#GP"]),
      () => random.pick(["value", "start"]),
      () => `(${gap}${this.fold()}${this.expr(depth - 1)}${gap})`,
      () => `[${gap}${random.chance(20) ? "rel " : ""}${this.expr(depth - 1)}${gap}]`,
      () => `[fs:${gap}${this.expr(depth - 1)}]`,
      () => `count(${gap}${this.list(() => this.arg(depth - 1), 3)}${this.fold()})`,
    ];
    return sign + (texts[inner] ?? (() => "1"))();
  }

  private events(): string {
    const rounds = 1 + (this.random.chance(20) ? 1 : 0);
    return `=>${this.gap(0)}${Array.from({ length: rounds }, () => this.round()).join(" then ")}`;
  }

  private round(): string {
    const { random } = this;
    const events = this.list(() => this.event(), 2);
    const body = random.chance(20) ? `(${this.fold()}${events}${this.gap(0)})` : events;
    return random.chance(20) ? `${body}${this.gap(1)}*${this.gap(0)}${random.below(9)}` : body;
  }

  private event(): string {
    const { random } = this;
    const fields = (): string => `(${this.gap(0)}code:${this.fold()}${this.expr(1)}${this.gap(0)})`;
    const event = random.pick(["nothing", "any", "?", "exit CPUID", "trap #GP", "halt", "any of (trap #UD, exit X)"]);
    const taken = event.startsWith("trap") || event.startsWith("exit") ? random.pick(["", fields(), "(0)"]) : "";
    return event + taken + (taken === "" ? "" : random.pick(["", " to vmm", " goto .after"]));
  }

  private list(make: () => string, most: number): string {
    const parts = Array.from({ length: 1 + this.random.below(most) }, make);
    return parts.join(`${this.gap(0)},${this.gap(0)}`);
  }

  /** A line break where it means nothing: in parentheses. */
  private fold(): string {
    return this.random.chance(10) ? this.random.pick(["\n", "\n\n  ", " ; folded\n", "\n ; alone\n"]) : "";
  }

  private gap(least: number): string {
    return " ".repeat(least + (this.random.chance(40) ? this.random.below(4) : 0));
  }

  private lineEnd(): string {
    const comment = this.random.chance(15) ? `${this.gap(0)}; beside` : "";
    const more = this.random.pick(["", "", "", "\n", "\n\n\n", "  ; alone\n", ";; doc\n", "\t\r\n"]);
    return `${comment}\n${more}`;
  }
}
