// The one layout table of the processor core: fields of the state block, records and regions of linear memory, and
// the numbers that both sides speak. scripts/generators/core-layout.ts turns it into src/core/layout.generated.ts
// (AssemblyScript classes and constants) and src/machine/layout.generated.ts (offsets and the same constants).
//
// To add a field, append it to a section and run `node scripts/generate.mjs core-layout`.

/** A field of a record: name, AssemblyScript type, meaning. */
export type Field = readonly [name: string, type: "u8" | "u16" | "u32" | "u64" | "i32" | "i64", doc: string];

/** A record type at a fixed address, or several of them one after the other. */
export interface RecordLayout {
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly Field[];
}

const generalRegisters: readonly Field[] = [
  "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
  "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
].map((name) => [name, "u64", "general register"] as const); // prettier-ignore

/** The processor's state. A second processor is a second block of the same layout. */
export const cpu: RecordLayout = {
  name: "Cpu",
  doc: "The processor's state: what software can see, and what the core keeps beside it.",
  fields: [
    ...generalRegisters,
    ["zero", "u64", "always 0: the base or index of an address that has none"],
    [
      "rip",
      "u64",
      "between instructions, RIP; the address of the next one while an instruction executes that is not a hot one",
    ],
    ["traceRip", "u64", "RIP of the first instruction of the trace that executes"],

    ["flagResult", "u64", "lazy flags: sign-extended result; ZF, and SF and PF but for the corrections in flagAux"],
    ["flagCarry", "u64", "lazy flags: bit 63 is CF, bit 62 is CF xor OF"],
    ["flagAux", "u64", "lazy flags: bit 4 is AF, bit 7 inverts SF, bit 2 inverts PF"],
    ["systemFlags", "u64", "RFLAGS but for the six status flags; bit 1 is set"],

    ["cr0", "u64", "CR0"],
    ["cr2", "u64", "CR2"],
    ["cr3", "u64", "CR3"],
    ["cr4", "u64", "CR4"],
    ["cr8", "u64", "CR8: the task-priority class, bits 3:0"],
    ["efer", "u64", "IA32_EFER"],
    ["dr0", "u64", "breakpoint address 0"],
    ["dr1", "u64", "breakpoint address 1"],
    ["dr2", "u64", "breakpoint address 2"],
    ["dr3", "u64", "breakpoint address 3"],
    ["dr6", "u64", "debug status"],
    ["dr7", "u64", "debug control"],
    ["xcr0", "u64", "XCR0"],
    ["gdtrBase", "u64", "GDTR base"],
    ["idtrBase", "u64", "IDTR base"],
    ["gdtrLimit", "u32", "GDTR limit, bytes"],
    ["idtrLimit", "u32", "IDTR limit, bytes"],
    ["pdpte0", "u64", "PAE paging: the page-directory-pointer entries loaded with CR3"],
    ["pdpte1", "u64", "second PDPTE"],
    ["pdpte2", "u64", "third PDPTE"],
    ["pdpte3", "u64", "fourth PDPTE"],
    ["pkru", "u32", "PKRU"],
    ["cpl", "u32", "current privilege level"],

    ["star", "u64", "IA32_STAR"],
    ["lstar", "u64", "IA32_LSTAR"],
    ["cstar", "u64", "IA32_CSTAR"],
    ["sfmask", "u64", "IA32_FMASK"],
    ["kernelGsBase", "u64", "IA32_KERNEL_GS_BASE"],
    ["sysenterCs", "u64", "IA32_SYSENTER_CS"],
    ["sysenterEsp", "u64", "IA32_SYSENTER_ESP"],
    ["sysenterEip", "u64", "IA32_SYSENTER_EIP"],
    ["tscAux", "u64", "IA32_TSC_AUX"],
    ["tscOffset", "u64", "added to the retired count to give the time-stamp counter"],
    ["tscAdjust", "u64", "IA32_TSC_ADJUST"],
    ["apicBase", "u64", "IA32_APIC_BASE"],
    ["processorId", "u64", "number of the processor, which is its APIC identifier"],
    ["featureControl", "u64", "IA32_FEATURE_CONTROL"],
    ["vmCr", "u64", "VM_CR"],
    ["vmHsavePa", "u64", "VM_HSAVE_PA"],
    ["pat", "u64", "IA32_PAT"],
    ["debugctl", "u64", "IA32_DEBUGCTL"],
    ["branchFrom", "u64", "BR_FROM: RIP of the last branch that was recorded"],
    ["branchTo", "u64", "BR_TO: its target"],
    ["exceptionFrom", "u64", "LASTEXCPFROMIP: the branch before the last exception or interrupt"],
    ["exceptionTo", "u64", "LASTEXCPTOIP: its target"],
    ["mtrrDefType", "u64", "IA32_MTRR_DEF_TYPE"],
    ["miscEnable", "u64", "IA32_MISC_ENABLE"],

    ["vendor", "u32", "0 Intel, 1 AMD"],
    ["physicalAddressBits", "u32", "MAXPHYADDR"],
    ["linearAddressBits", "u32", "32, 48 or 57: widest linear address of the model"],
    ["ramPages", "u32", "pages of memory on the bus, from physical address 0"],
    ["features0", "u64", "features of the model, by number"],
    ["features1", "u64", "features 64 to 127"],
    ["features2", "u64", "features 128 to 191"],
    ["features3", "u64", "features 192 to 255"],
    ["cpuidCount", "u32", "CPUID records of the model"],
    ["msrCount", "u32", "MSR records of the model"],
    ["cr0Fixed1", "u64", "bits of CR0 that software may set"],
    ["cr4Allowed", "u64", "bits of CR4 that the model has"],
    ["eferAllowed", "u64", "bits of EFER that the model has"],
    ["variation", "u32", "VARY_ bits: freedoms of the manual taken otherwise than by default"],

    ["retired", "u64", "instructions retired since reset: the virtual time"],
    ["budgetEnd", "u64", "value of retired at which run() returns"],
    ["deadline", "u64", "value of retired at which the devices want to be asked; all ones for never"],
    ["stopDetail", "u64", "what the stop kind needs: a point's index, an execute number, a status"],
    ["stopDetail2", "u64", "more of it"],
    ["stopKind", "u32", "a STOP_ number while the run loop is to end, else 0"],
    ["activity", "u32", "an ACTIVITY_ number"],
    ["haltRip", "u64", "RIP of the HLT that halts; all ones in a guest that was entered halted"],
    ["shadow", "u32", "interrupts held for one instruction: bit 0 after STI, bit 1 after MOV SS or POP SS"],
    ["attention", "u32", "ATTENTION_ bits: why the run loop must look up between instructions"],
    ["interruptLine", "u32", "1 while a device or the interrupt controller asserts INTR"],
    ["debugPending", "u32", "DR6 bits of debug traps to be raised when the instruction is done"],
    ["nmiPending", "u32", "1 when an NMI waits"],
    ["nmiBlocked", "u32", "1 from the delivery of an NMI to IRET"],
    ["initPending", "u32", "1 when an INIT signal waits"],
    ["sipiPending", "u32", "100H plus the vector when a start-up IPI has come in the wait-for-SIPI state, else 0"],
    ["codeKey", "u32", "what decoded instructions depend on besides their bytes: KEY_ bits"],
    ["codeEnd", "u64", "first offset after those where code may lie: the limit of CS plus 1; all ones in 64-bit mode"],
    ["stoppedAt", "u64", "physical address of the stop point where run() returned; all ones for none"],
    ["pointCount", "u32", "records in the points region"],

    ["pending", "u32", "a PENDING_ number: what the instruction in progress ends in instead of retiring"],
    ["vector", "u32", "pending exception: vector"],
    ["errorCode", "u32", "pending exception: error code"],
    ["hasErrorCode", "u32", "pending exception: 1 when an error code goes with it"],
    ["eventType", "u32", "pending or delivered event: TYPE_ number as the manual's interruption type"],
    [
      "debugTrap",
      "u32",
      "pending #DB: 1 when it follows its instruction (a trap), 0 when it comes before it (a fault)",
    ],
    ["rule", "u32", "number of the rule that decided (src/isa/fault-rules.ts)"],
    ["faultLinear", "u64", "pending page fault: linear address; pending debug exception: DR6 bits"],
    ["instructionRip", "u64", "RIP of the instruction to which the pending event belongs"],
    ["instructionLength", "u32", "its length in bytes, as software interrupts and exits need it"],
    ["trapRetires", "u32", "1 while an instruction's own event is to be delivered: it retires with that"],
    ["delivering", "u32", "1 while an event is being delivered through the IDT"],
    ["deliveringVector", "u32", "its vector"],
    ["deliveringType", "u32", "its TYPE_ number"],
    ["deliveringError", "u32", "its error code"],
    ["deliveringHasError", "u32", "1 when it has one"],
    ["cutTrapRip", "u64", "the instruction of a debug trap whose delivery an exit to a VMM cut short"],
    ["cutTrapNext", "u64", "RIP that such a trap was to save; all ones for none"],
    ["external", "u32", "the EXT bit of error codes: 1 while the event in progress is external to the program"],

    ["tlbContext", "u64", "tag of the translations that are valid now: bits 11:0; bit 0 is set for user accesses"],
    ["flatEnd", "u64", "where DS, ES and SS end that all begin at 0, if that is below 4 GiB; else all ones"],
    ["limitedEnd", "u64", "the last such end below 4 GiB: translations of limited segments in the TLB are of this one"],
    ["tlbWraps", "u64", "how often the TLB was cleared because the tags had run out: older tags mean nothing"],
    ["tlbNext", "u64", "next tag never used since the TLB was last cleared"],
    ["pagingMode", "u32", "a PAGING_ number"],
    ["codePage", "u32", "host pointer of the page that codeLinear names; 0 for none"],
    ["codeLinear", "u64", "linear page of the last instruction fetch"],
    ["traceNext", "u32", "next free byte of the trace store"],
    ["traceGeneration", "u32", "traces of other generations are gone"],
    ["codePageCount", "u32", "pages in the list of pages with decoded code"],
    ["dirtyCount", "u32", "pages in the dirty list"],
    ["afterWrite", "u32", "AFTER_ bits: what a store must be followed by"],
    ["scratchLinear", "u64", "where the scratch buffer's bytes go when the store is done"],
    ["scratchBytes", "u32", "how many"],
    ["scratchUser", "u32", "1 when the store is checked as a user access"],
    ["scratchPhysical1", "u64", "physical address of the scratch buffer's first part"],
    ["scratchPhysical2", "u64", "and of its second part, when it crosses a page"],
    ["scratchSplit", "u32", "bytes in the first part"],
    ["eventHead", "u32", "event records written since reset"],
    ["eventTail", "u32", "event records taken by the host since reset"],

    ["entered", "u32", "1 from VM entry or VMRUN until the run loop has looked at the guest's first boundary"],
    ["guestMode", "u32", "0 outside; 1 in VMX non-root operation; 2 in SVM guest mode"],
    ["nestedPaging", "u32", "1 when physical addresses of the page walk go through EPT or nested tables"],
    ["context", "u64", "physical address of the VMCS or VMCB in guest mode, else 0: says whose an event is"],
    ["hostOwned", "u32", "1 when the host program owns root operation: VM exits end the run loop"],
    ["ring0Hosted", "u32", "1 when the host program is ring 0: transfers of control there end the run loop"],
    [
      "overheadBase",
      "u64",
      "physical address of the host's translated code, whose OVERHEAD bits say what does not count",
    ],
    ["overheadBytes", "u32", "its size; 0 for none"],
    ["vmxOperation", "u32", "0 outside VMX operation, 1 in it"],
    ["gif", "u32", "SVM's global interrupt flag"],
    ["monitorArmed", "u32", "1 after MONITOR"],
    ["machineCheckPending", "u32", "1 when a machine check waits"],
    ["numericError", "u32", "1 while FERR# is asserted: an x87 exception waits, and CR0.NE is 0"],
    ["numericErrorIgnored", "u32", "1 while IGNNE# is asserted: x87 instructions go on all the same"],
    ["randomState", "u64", "where RDRAND and RDSEED are in their sequence"],
  ],
};

/** A segment register with its hidden part, by the manual's numbers of ES CS SS DS FS GS, then FLAT, LDTR, TR. */
export const segment: RecordLayout = {
  name: "Segment",
  doc: "A segment register with its hidden part, and the bounds that follow from it.",
  fields: [
    ["base", "u64", "base address"],
    ["low", "u64", "lowest offset that may be used (not 0 for expand-down)"],
    ["endRead", "u64", "first offset after those that may be read; 0 when none may"],
    ["endWrite", "u64", "first offset after those that may be written; 0 when none may"],
    ["limit", "u32", "byte-granular limit"],
    [
      "rights",
      "u32",
      "descriptor bits 8 to 23 of the high doubleword: type, S, DPL, P, AVL, L, D/B, G; bit 16: unusable",
    ],
    ["selector", "u32", "selector"],
    ["reserved", "u32", "keeps the record a multiple of 8 bytes"],
  ],
};

/** A page translation, direct mapped by linear page number. Tags hold the linear page and the context. */
export const tlbEntry: RecordLayout = {
  name: "TlbEntry",
  doc: "A cached translation: linear page and context in the tags, host address of the page.",
  fields: [
    ["readTag", "u64", "set when loads may use the entry"],
    ["writeTag", "u64", "set when stores may: the page is on the dirty list and holds no decoded code"],
    ["executeTag", "u64", "set when instruction fetches may"],
    ["page", "u32", "host pointer of the page minus its linear address: what to add to a linear address"],
    ["physicalPage", "u32", "physical page number"],
  ],
};

/** One decoded instruction. */
export const microOp: RecordLayout = {
  name: "MicroOp",
  doc: "A decoded instruction. Register fields are byte offsets from the state block: AH is 1, RCX 8.",
  fields: [
    ["op", "u8", "an OP_ number of ops.ts"],
    ["offset", "u8", "bytes of code before it in its trace"],
    ["form", "u16", "form number in the decode table"],
    ["length", "u8", "instruction length in bytes"],
    ["prefixes", "u8", "PREFIX_ bits"],
    ["operandBytes", "u8", "operand size: 1, 2, 4 or 8"],
    ["addressShift", "u8", "64 minus the address size in bits"],
    ["first", "u8", "first operand, where it is a register"],
    ["second", "u8", "second operand, where it is a register"],
    ["base", "u8", "base register of the memory operand"],
    ["index", "u8", "index register of the memory operand"],
    ["scale", "u8", "shift of the index"],
    ["segment", "u8", "number of the segment; SEGMENT_FLAT where no check and no base is needed"],
    ["segmentName", "u8", "number of the segment register that the access names, for the fault that follows"],
    ["argument", "u8", "condition, ALU operation and the like; for system registers the number"],
    ["displacement", "i32", "displacement of the memory operand"],
    [
      "source",
      "u32",
      "address of the second operand's value where it is a register or the immediate; of a branch: the trace it leads to",
    ],
    [
      "immediate",
      "i64",
      "immediate, sign-extended; branch displacement; far pointer: offset, selector in bits 47:32; address of moffs",
    ],
  ],
};

/** What stands before the decoded instructions of a trace. */
export const traceHeader: RecordLayout = {
  name: "TraceHeader",
  doc: "A run of instructions decoded together: all in one page, a branch at most at the end.",
  fields: [
    ["key", "u64", "host pointer of the first byte, code key, generation; 0 when invalid"],
    ["next", "u32", "next trace that starts in the same page"],
    ["count", "u16", "instructions that count"],
    ["bytes", "u16", "length of the code"],
    ["point", "u32", "1 + index of the first point at its address; 0 for none"],
    ["overhead", "u32", "instructions besides those counted: of translated code, that its guest does not have"],
  ],
};

/** An entry of the hash table from code address to trace. */
export const traceSlot: RecordLayout = {
  name: "TraceSlot",
  doc: "A slot of the table from code address to trace.",
  fields: [
    ["key", "u64", "as in the trace's header"],
    ["trace", "u32", "pointer to the header"],
    ["reserved", "u32", "keeps the record 16 bytes"],
  ],
};

/** A place where the run notes a visit or stops. Sorted by address. */
export const point: RecordLayout = {
  name: "PointRecord",
  doc: "A point at a physical address (docs/decisions/0003-two-lowerings.md).",
  fields: [
    ["address", "u64", "physical address"],
    ["index", "u32", "the host's number of the point"],
    ["action", "u32", "POINT_VISIT or POINT_STOP"],
  ],
};

/** One event in the ring. */
export const eventRecord: RecordLayout = {
  name: "EventRecord",
  doc: "What happened, raw (architecture: one stream of events, judged outside).",
  fields: [
    ["kind", "u16", "an EVENT_ number"],
    ["code", "u16", "vector of a trap or interrupt, index of a visit's point below 65536"],
    ["rule", "u32", "number of the rule or control bit that decided, 0 for none"],
    ["rip", "u64", "RIP of the instruction to which the event belongs"],
    ["retired", "u64", "instructions retired before it"],
    ["context", "u64", "physical address of the current VMCS or VMCB in guest mode, else 0"],
    ["a", "u64", "payload; trap: error code"],
    ["b", "u64", "payload; trap: linear address of a page fault, DR6 of a debug exception"],
    ["c", "u64", "payload; trap: the RIP that was saved"],
    ["d", "u64", "payload; trap: TYPE_ number, bit 8: has error code, bit 9: saved RIP is the next instruction"],
  ],
};

/** A CPUID leaf of the model. */
export const cpuidRecord: RecordLayout = {
  name: "CpuidRecord",
  doc: "One output of CPUID.",
  fields: [
    ["leaf", "u32", "EAX at input"],
    ["subleaf", "u32", "ECX at input"],
    ["anySubleaf", "u32", "1 when ECX does not matter"],
    ["eax", "u32", "output"],
    ["ebx", "u32", "output"],
    ["ecx", "u32", "output"],
    ["edx", "u32", "output"],
    ["reserved", "u32", "keeps the record 32 bytes"],
  ],
};

/** An MSR of the model. */
export const msrRecord: RecordLayout = {
  name: "MsrRecord",
  doc: "An MSR of the model, with its value where the state block has no field for it.",
  fields: [
    ["address", "u32", "ECX of RDMSR"],
    ["readOnly", "u32", "1 when WRMSR raises #GP(0)"],
    ["value", "u64", "value, unless the state block has a field of its own for it"],
    ["reset", "u64", "value after reset"],
    ["writable", "u64", "bits that WRMSR may change"],
  ],
};

/** The regions of linear memory, in order, by address and size in bytes. Guest memory follows the last one. */
export const regions: readonly (readonly [name: string, address: number, bytes: number, doc: string])[] = [
  ["CPU", 0x1000, 0x1000, "state block of the processor"],
  ["SEGMENTS", 0x2000, 0x200, "segment registers"],
  ["EXTENDED", 0x2200, 0x1200, "x87, SSE and further extended state, laid out as the XSAVE area"],
  ["SCRATCH", 0x3400, 0x400, "bytes of an access that crosses a page or goes to a device"],
  ["VIRTUALIZATION", 0x3800, 0x2000, "state of VMX and SVM that does not lie in guest memory"],
  ["CPUID", 0x6000, 0x2000, "CPUID records"],
  ["MSRS", 0x8000, 0x4000, "MSR records"],
  ["TRACE_SLOTS", 0x4_0000, 0x4_0000, "table from code address to trace"],
  ["EVENTS", 0x8_0000, 0x4_0000, "event ring"],
  ["OVERHEAD", 0xc_0000, 0x2_0000, "a bit for each byte of translated code: the instruction there does not count"],
  ["POINTS", 0x10_0000, 0x10_0000, "points, sorted by address"],
  ["TRACES", 0x20_0000, 0x80_0000, "decoded instructions"],
  ["STATIC", 0xa0_0000, 0x20_0000, "static data of the module"],
  ["PAGE_FLAGS", 0xc0_0000, 0x10_0000, "one byte of PAGE_ bits for each page of memory"],
  ["DIRTY_PAGES", 0xd0_0000, 0x40_0000, "numbers of the pages written since reset"],
  ["CODE_CHUNKS", 0x110_0000, 0x80_0000, "for each page, which of its 64-byte chunks hold decoded code"],
  ["PAGE_TRACES", 0x190_0000, 0x40_0000, "for each page, the first trace that starts in it"],
  ["CODE_PAGES", 0x1d0_0000, 0x40_0000, "numbers of the pages that hold decoded code"],
  ["TLB", 0x210_0000, 0x10_0000, "translations"],
  ["TLB_USE", 0x220_0000, 0x1000, "a byte for each 128 translations: 1 where one was kept since all were cleared"],
  ["RAM", 0x240_0000, 0, "guest memory: physical address 0 lies here"],
];

/** Numbers that both sides speak, in groups. */
export const constants: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  STOP: {
    NONE: 0, POINT: 1, VM_EXIT: 2, HALTED: 3, SHUTDOWN: 4, BUDGET: 5, EVENTS_FULL: 6, UNSUPPORTED: 7, DEVICE: 8,
    PRIVILEGE: 9,
  }, // prettier-ignore
  EVENT: {
    VISIT: 1, TRAP: 2, INTERRUPT: 3, EXIT: 4, ENTER: 5, FAIL: 6, REJECT: 7, INJECT: 8, EMULATE: 9, REFUSE: 10,
    TASK_SWITCH: 11, HALT: 12, SHUTDOWN: 13, UNSUPPORTED: 14, PROBE: 15, DONE: 16,
  }, // prettier-ignore
  PENDING: { NONE: 0, EXCEPTION: 1, VM_EXIT: 2, STOP: 3 },
  ACTIVITY: { ACTIVE: 0, HLT: 1, SHUTDOWN: 2, WAIT_FOR_SIPI: 3 },
  ATTENTION: {
    INTERRUPT: 1, NMI: 2, SINGLE_STEP: 4, SHADOW: 8, DEBUG: 16, INACTIVE: 32, VIRTUALIZATION: 64, SIGNAL: 128,
    BRANCH: 256,
  }, // prettier-ignore
  TYPE: {
    EXTERNAL: 0,
    NMI: 2,
    HARDWARE_EXCEPTION: 3,
    SOFTWARE_INTERRUPT: 4,
    PRIVILEGED_SOFTWARE: 5,
    SOFTWARE_EXCEPTION: 6,
  },
  TRANSFER: { EVENT: 0, GATE: 1, TASK: 2, SYSCALL: 3, SYSENTER: 4 },
  PAGING: { NONE: 0, BITS32: 1, PAE: 2, LEVEL4: 3, LEVEL5: 4 },
  KEY: {
    CODE16: 0,
    CODE32: 1,
    CODE64: 2,
    SIZE: 3,
    FLAT: 4,
    STACK32: 8,
    REAL: 16,
    SKIP_POINT: 32,
    SINGLE: 64,
    MODE: 31,
  },
  AFTER: { COMMIT: 1, END_TRACE: 2, REPLACED: 4 },
  PAGE: { DIRTY: 1, CODE: 2, POINTS: 4, DEVICE: 8, READ_ONLY: 16, WRITE_CACHED: 32 },
  VARY: {
    ORDER_LAST: 1,
    UNDEFINED_CLEAR: 2,
    UNDEFINED_SET: 4,
    UNDEFINED_INVERT: 8,
    TLB_EAGER: 16,
    TLB_LAZY: 32,
    ORDER_SEED_SHIFT: 16,
  },
  POINT: { VISIT: 0, STOP: 1 },
  SEGMENT: { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5, FLAT: 6, LDTR: 7, TR: 8 },
  PREFIX: {
    LOCK: 1,
    REP: 2,
    REPNE: 4,
    REX: 8,
    FIRST_MEMORY: 16,
    SECOND_MEMORY: 32,
    SECOND_IMMEDIATE: 64,
    OVERHEAD: 128,
  },
};
