// The declarations of the language: which word stands where, and the shape of its line. Resolve, the formatter,
// completion, hover and the reference read this table.

/** Where a declaration can stand: directly in a file, in a test, in a guest's code, or in the block of another. */
export type Place = "file" | "test" | "guest" | "vmm" | "platform" | "each";

export interface Keyword {
  readonly word: string;
  readonly place: Place;
  /** The line as it is written, parts to be filled in with capitals. */
  readonly shape: string;
  readonly doc: string;
}

const row = (place: Place, shape: string, doc: string): Keyword => {
  return { word: shape.split(" ", 1)[0] ?? shape, place, shape, doc };
};

/** Every declaration, by place, in the order in which docs show them. */
export const keywords: readonly Keyword[] = [
  row("file", "use MODULE", "makes a library module's macros, constants and data known as MODULE.NAME"),
  row("file", "const NAME = VALUE", "a number under a name"),
  row("file", "struct NAME { … }", "names for the offsets of fields: NAME.FIELD, and NAME.SIZE for the whole"),
  row("file", "macro NAME(PARAMETERS) { … }", "statements under a name; labels are each use's own"),
  row("file", "data { … }", "bytes of which every guest that names one has its own copy"),
  row("file", "platform NAME from BASE { … }", "a platform that differs from another in firmware, memory or features"),
  row("file", 'test "NAME" { … }', "a test: where it runs, its guests, what must hold at its end"),

  row("test", "on PLATFORM, GROUP", "platforms and groups on which the test runs; without it, all"),
  row("test", "vmm VMM [nested] [under VMM]", "bundled VMMs under which the test runs; without it, none"),
  row("test", "each NAME = VALUE, VALUE", "runs the test with each value; a block gives rows for several names"),
  row("test", "requires FEATURE", "drops members of groups that lack a CPU feature or a VMX control, with the reason"),
  row("test", "golden", "the whole transcript is kept in a file and compared"),
  row("test", 'xfail "REASON"', "the test is known to fail"),
  row("test", 'bundled "REASON"', "the test holds only on the bundled machine: it is not carried in an image"),
  row("test", "only", "runs no other test of the file; refused in CI"),
  row("test", "budget INSTRUCTIONS", "instructions after which the guest counts as hung"),
  row("test", "const NAME = VALUE", "a number under a name, for this test"),
  row("test", "guest MODE [NAME] [under GUEST] { … }", "code and the mode in which it starts"),
  row("test", "expect CONDITION", "what must hold when the test has ended"),

  row("guest", "data [at ADDRESS] { … }", "bytes, in a section of their own, or at an address"),
  row("guest", "ring 3 { … }", "runs the block in that ring and comes back with registers and flags as they were"),
  row("guest", "handler #PF { … }", "code to which the interrupt table's gate of a vector points"),
  row("guest", "at ADDRESS { … }", "code that lies there; control comes there by a branch"),
  row("guest", "map START..END RIGHTS [to ADDRESS] | raw ENTRY", "how the guest's own page tables map a range"),
  row("guest", "start NAME = VALUE, …", "a register, part of one (DS.BASE) or msr(ADDRESS) when the guest starts"),
  row("guest", "never EVENT { … }", "the event happens on no line of the block"),
  row("guest", "within { … } => EVENTS", "the events happen somewhere in the block, in this order"),
  row("guest", "on PLATFORM, GROUP { … }", "code for some platforms; of neighbours the first that holds counts"),
  row("guest", "if CONDITION { … }", "code that is there when a number is not 0, or NAME is WORD"),
  row("guest", "else [if CONDITION] { … }", "code that is there when that of the `if` before it is not"),
  row("guest", "repeat COUNT { … }", "the block that many times, labels each time its own"),
  row(
    "guest",
    "for NAME in FIRST..LAST { … }",
    "the block with each number, or with each VALUE, VALUE, under the name",
  ),
  row(
    "guest",
    'encode "OPCODE" { … }',
    "one instruction in the form of that opcode, as docs/instructions.md writes it",
  ),
  row("guest", "const NAME = VALUE", "a number under a name, for this guest; labels may stand in it"),
  row("guest", "expect CONDITION", "what must hold here; costs the guest nothing"),
  row("guest", "raise intr VECTOR", "an interrupt before the next instruction; also nmi, mc, init, smi"),
  row("guest", "done", "ends the guest"),
  row("guest", "zero COUNT", "that many bytes of 0"),
  row(
    "guest",
    'embed "FILE"[, OFFSET, BYTES]',
    "the bytes of a file, or a part of them; the path is relative to this file",
  ),
  row("guest", "align BOUNDARY", "up to the next multiple of a power of two"),

  row("vmm", "intercept NAME, NAME", "exits and exceptions that the VMM asks for; `nothing` for as few as can be"),
  row("vmm", "memory START..END RIGHTS [denied ACTION]", "what the guest may do with a range of its memory"),
  row("vmm", "ports START..END RIGHTS [denied ACTION]", "what the guest may do with a range of ports"),
  row("vmm", "msrs START..END RIGHTS [denied ACTION]", "what the guest may do with a range of MSRs"),
  row("vmm", "on PLATFORM, GROUP { … }", "policy for some platforms"),

  row("platform", "firmware vmx STATE", "how the firmware left VMX (enabled, locked_off, unlocked) or SVM"),
  row("platform", "memory SIZE", "size of memory"),
  row("platform", "feature NAME on|off", "a CPU feature that this platform has or lacks"),

  row("each", "row VALUE, VALUE", "one value for each name"),
];

const byPlace = new Map<Place, ReadonlyMap<string, Keyword>>();

/** Declarations of a place by their word. */
export function keywordsOf(place: Place): ReadonlyMap<string, Keyword> {
  let found = byPlace.get(place);
  if (!found) {
    found = new Map(keywords.filter((keyword) => keyword.place === place).map((keyword) => [keyword.word, keyword]));
    byPlace.set(place, found);
  }
  return found;
}

/** The shape of a declaration, for the message that says how a line should read. */
export function shapeOf(place: Place, word: string): string {
  return keywordsOf(place).get(word)?.shape ?? word;
}
