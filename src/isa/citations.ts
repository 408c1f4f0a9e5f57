// Citations: one pinned edition of each manual. Rows cite a section by its title, which survives new editions;
// chapter numbers, which do not, stand here and nowhere else.

export type ManualId = "sdm1" | "sdm2" | "sdm3" | "apm2" | "apm3";

/** A manual in the edition that the whole project cites. */
export interface Manual {
  readonly title: string;
  readonly document: string;
  readonly edition: string;
  /** Chapters that rows name, with their numbers in this edition. */
  readonly chapters: Readonly<Record<string, string>>;
}

export const manuals: Readonly<Record<ManualId, Manual>> = {
  sdm1: {
    title: "Intel SDM vol. 1",
    document: "253665",
    edition: "325462-075US, June 2021",
    chapters: {
      "Control-Flow Enforcement Technology": "17",
      "Input/Output": "19",
      "Managing State Using the XSAVE Feature Set": "13",
      "Programming with the x87 FPU": "8",
    },
  },
  sdm2: {
    title: "Intel SDM vol. 2",
    document: "325383",
    edition: "325462-075US, June 2021",
    chapters: {
      "Instruction Format": "2",
      "Instruction Set Reference, A-L": "3",
      "Instruction Set Reference, M-U": "4",
      "Instruction Set Reference, V-Z": "5",
      "Opcode Map": "Appendix A",
    },
  },
  sdm3: {
    title: "Intel SDM vol. 3",
    document: "325384",
    edition: "325462-075US, June 2021",
    chapters: {
      "System Architecture Overview": "2",
      "Protected-Mode Memory Management": "3",
      Paging: "4",
      Protection: "5",
      "Interrupt and Exception Handling": "6",
      "Task Management": "7",
      "Multiple-Processor Management": "8",
      "Processor Management and Initialization": "9",
      "Advanced Programmable Interrupt Controller": "10",
      "Debug, Branch Profile, TSC, and Intel RDT Features": "17",
      "8086 Emulation": "20",
      "Introduction to Virtual Machine Extensions": "23",
      "Virtual Machine Control Structures": "24",
      "VMX Non-Root Operation": "25",
      "VM Entries": "26",
      "VM Exits": "27",
      "VMX Support for Address Translation": "28",
      "APIC Virtualization and Virtual Interrupts": "29",
      "VMX Instruction Reference": "30",
      "System Management Mode": "31",
      "VMX Capability Reporting Facility": "Appendix A",
      "Field Encoding in VMCS": "Appendix B",
      "VMX Basic Exit Reasons": "Appendix C",
    },
  },
  apm2: {
    title: "AMD APM vol. 2",
    document: "24593",
    edition: "revision 3.42, March 2024",
    chapters: {
      "System Resources": "3",
      "Segmented Virtual Memory": "4",
      "Page Translation and Protection": "5",
      "System Instructions": "6",
      "Exceptions and Interrupts": "8",
      "Secure Virtual Machine": "15",
      "Layout of VMCB": "Appendix B",
      "SVM Intercept Exit Codes": "Appendix C",
    },
  },
  apm3: {
    title: "AMD APM vol. 3",
    document: "24594",
    edition: "revision 3.36, March 2024",
    chapters: {
      "Instruction Overview": "1",
      "General-Purpose Instruction Reference": "3",
      "System Instruction Reference": "4",
    },
  },
};

/** A place in a manual: a section by its title, in a chapter that `manuals` numbers where one is named. */
export interface Citation {
  readonly manual: ManualId;
  readonly chapter?: string;
  readonly section: string;
}

/** The page of an instruction in the instruction set reference of Intel's volume 2. */
export const sdm2 = (section: string): Citation => ({ manual: "sdm2", section });
/** A section of a chapter of Intel's volume 1. */
export const sdm1 = (chapter: string, section: string): Citation => ({ manual: "sdm1", chapter, section });
/** A section of a chapter of Intel's volume 3. */
export const sdm3 = (chapter: string, section: string): Citation => ({ manual: "sdm3", chapter, section });
/** A section of a chapter of AMD's volume 2. */
export const apm2 = (chapter: string, section: string): Citation => ({ manual: "apm2", chapter, section });
/** The page of an instruction in AMD's volume 3. */
export const apm3 = (section: string): Citation => ({ manual: "apm3", section });

/** As reports print it: `Intel SDM vol. 3, chapter 26 "VM Entries", "Checks on Guest Control Registers"`. */
export function citationText(citation: Citation): string {
  const manual = manuals[citation.manual];
  if (citation.chapter === undefined) return `${manual.title}, "${citation.section}"`;
  const number = manual.chapters[citation.chapter];
  const place = number === undefined || number.startsWith("Appendix") ? (number ?? "chapter") : `chapter ${number}`;
  return `${manual.title}, ${place} "${citation.chapter}", "${citation.section}"`;
}
