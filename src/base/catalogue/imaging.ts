// Codes E5…: what laying out an image and reading one reports.

import { diagnostic } from "../diagnostic.js";
import { hex } from "../number.js";

interface RangeFacts {
  start: bigint;
  end: bigint;
}

const rangeText = (f: RangeFacts): string => `${hex(f.start)}..${hex(f.end)}`;

export const rangeOverlaps = diagnostic<
  RangeFacts & { declaration: string; part: string; partStart: bigint; partEnd: bigint }
>({
  code: "E5001",
  severity: "error",
  title: "A declaration that takes away what the test itself stands on",
  explanation:
    "Code, stacks, descriptor tables and page tables of a guest must stay reachable: a test that takes them away by " +
    "declaration would fail before its first line. Addresses 0x1000 to 0x9ffff are free for tests, and a guest's " +
    "data may be mapped as one likes. Code can change its own tables at run time.",
  message: (f) => `${f.declaration} ${rangeText(f)} covers ${f.part} at ${hex(f.partStart)}..${hex(f.partEnd)}`,
  label: (f) => `covers ${f.part}`,
  help: () => "choose a range between 0x1000 and 0x9ffff",
});

export const mapNotAligned = diagnostic<RangeFacts & { to?: bigint }>({
  code: "E5002",
  severity: "error",
  title: "A mapped range that does not consist of whole pages",
  explanation: "Page tables map pages of 4 KiB: a range starts at a multiple of 0x1000 and ends just before one.",
  message: (f) => `${rangeText(f)}${f.to === undefined ? "" : ` to ${hex(f.to)}`} does not consist of whole pages`,
  help: (f) =>
    `write ${hex(f.start & ~0xfffn)}..${hex(f.end | 0xfffn)}${f.to === undefined ? "" : ` to ${hex(f.to & ~0xfffn)}`}`,
});

export const mapWithoutPaging = diagnostic<{ mode: string }>({
  code: "E5003",
  severity: "error",
  title: "A mapped range in a mode without page tables",
  explanation: "Guests in real16, prot16 and prot32 start with paging off: every linear address is a physical one.",
  message: (f) => `${f.mode} has no page tables, so nothing can be mapped`,
  help: (f) => (f.mode === "prot32" ? "make the guest paged32 or pae32" : "make the guest paged32, pae32 or long64"),
});

export const mapsOverlap = diagnostic<RangeFacts>({
  code: "E5004",
  severity: "error",
  title: "Two declarations that map the same page",
  explanation: "Each page is mapped once, so that the order of declarations does not matter.",
  message: (f) => `${rangeText(f)} maps pages that another declaration maps too`,
  help: () => "split the ranges so that none of their pages is in both",
});

export const noExecuteDisable = diagnostic<{ mode: string; platform: string }>({
  code: "E5005",
  severity: "error",
  title: "A page that cannot be made not executable",
  explanation:
    "Pages are not executable by bit 63 of their entry, which PAE and 4-level paging have, on CPUs that report NX. " +
    "The entries of 32-bit paging have no such bit.",
  message: (f) => `${f.mode} on ${f.platform} cannot forbid execution of a page`,
  help: () => "add x to the rights, or use pae32 or long64 on a platform with NX",
});

export const mapOutOfReach = diagnostic<RangeFacts & { mode: string; bits: number }>({
  code: "E5006",
  severity: "error",
  title: "A mapped range that the mode cannot address",
  explanation: "Linear addresses have 32 bits, or in 64-bit mode 48 bits of which the last is repeated up to bit 63.",
  message: (f) => `${rangeText(f)} lies outside what ${f.mode} can address with ${f.bits} bits`,
  help: (f) =>
    f.bits === 32
      ? "choose a range below 0x1_0000_0000, or make the guest long64"
      : "choose a range that ends below 0x8000_0000_0000 or starts at 0xffff_8000_0000_0000 or above",
});

export const pageTablesFull = diagnostic<{ bytes: number }>({
  code: "E5007",
  severity: "error",
  title: "More page tables than there is room for",
  explanation: "A guest's page tables have 2 MiB. Each scattered range needs tables of its own.",
  message: (f) => `the page tables of this guest need more than ${f.bytes} bytes`,
  help: () => "map fewer or less scattered ranges",
});

export const tooLittleMemory = diagnostic<{ guest: string; platform: string; need: bigint; memory: number }>({
  code: "E5008",
  severity: "error",
  title: "A platform with too little memory for the test",
  explanation: "Each guest takes a slot of 16 MiB, of which 4 MiB must be there, from address 0x100000 on.",
  message: (f) => `${f.guest} reaches to ${hex(f.need)}, and ${f.platform} has ${hex(f.memory)} bytes of memory`,
  help: () => "give the platform more memory, or the test fewer guests",
});

export const secondLowGuest = diagnostic<{ guest: string; other: string }>({
  code: "E5009",
  severity: "error",
  title: "Two guests in 16-bit modes in one test",
  explanation: "Code, data and stacks of a 16-bit guest lie at fixed addresses in the first 64 KiB, once.",
  message: (f) => `${f.guest} needs the low addresses that ${f.other} takes`,
  help: () => "make one of the guests 32- or 64-bit",
});

export const startNotPossible = diagnostic<{ name: string; value: bigint; why: string; help: string }>({
  code: "E5011",
  severity: "error",
  title: "A start value that the guest cannot have",
  explanation:
    "A guest starts in its mode, with what its mode sets up, and with bits that its platform has. Bits of CR0, CR4 and " +
    "EFER that make the mode (PE, PG, PAE, LA57, LME, LMA) follow from the mode; code can change them at run time. A " +
    "guest that another guest starts has its general registers and MSRs from that one's VMM.",
  message: (f) => `${f.name} cannot be ${hex(f.value)} at start: ${f.why}`,
  help: (f) => f.help,
});

export const placedOutside = diagnostic<{ address: bigint; memory: bigint }>({
  code: "E5012",
  severity: "error",
  title: "A block at an address where there is no memory",
  explanation: "`at` and `data at` place a block at a physical address, in memory of the platform.",
  message: (f) => `there is no memory for this block at ${hex(f.address)}: memory ends at ${hex(f.memory)}`,
  help: () => "choose an address between 0x1000 and 0x9ffff, or give the platform more memory",
});

export const rawEntryOfPages = diagnostic<RangeFacts>({
  code: "E5013",
  severity: "error",
  title: "A raw entry for more than one page",
  explanation: "`map PAGE raw ENTRY` writes one entry of a page table, which maps one page of 4 KiB.",
  message: (f) => `${rangeText(f)} is more than the page of one entry`,
  help: (f) => `write ${hex(f.start & ~0xfffn)}..${hex(f.start | 0xfffn)}, and a line for each further page`,
});

export const bundledOnly = diagnostic<{ what: string; why: string }>({
  code: "E5010",
  severity: "error",
  title: "Something that only the bundled machine can do",
  explanation:
    "In the carried lowering the image itself does what the bundled machine otherwise does for it: handlers, probes " +
    "and the report are code. docs/carried.md says what that code can do; the rest of a test stays bundled.",
  message: (f) => `${f.what} is bundled only: ${f.why}`,
  help: () => "run this test on the bundled machine, or leave it out of the carried build with `on`",
});
