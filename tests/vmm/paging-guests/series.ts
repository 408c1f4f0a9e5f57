// What guests do to their page tables, each a case that shadow page tables must follow.

import { entry, page, user, type Guest, type Mode } from "./guest.js";

export interface Series {
  readonly title: string;
  readonly modes?: readonly Mode["name"][];
  /** Only on these. */
  readonly platforms?: readonly string[];
  /** Only where the processor has no-execute. */
  readonly noExecute?: true;
  readonly build: (guest: Guest) => void;
}

export const series: readonly Series[] = [
  {
    title: "accessed and dirty bits, by every kind of access",
    build: (g) => {
      g.read(page.a).read(page.b).write(page.b, 5).may(`inc dword [${page.c}]`);
      g.do("mov eax, 1", `lock cmpxchg [${page.code}], ecx`);
      // Over the end of a page.
      g.may(`mov dword [${page.code + 0x1ffe}], 0x12345678`);
      g.do(`mov ecx, 3`, `push edi`, `mov edi, ${page.code + 0x3ffc}`, "rep stosd", "pop edi");
      for (let i = 9; i < 20; i++) g.do(`mov eax, [edi + ${i * g.mode.entryBytes}]`).note();
      g.map(page.b, page.b, user).forget(page.b).read(page.b);
      g.do(`mov eax, [edi + ${(page.b >> 12) * g.mode.entryBytes}]`).note();
      g.write(page.b, 6)
        .do(`mov eax, [edi + ${(page.b >> 12) * g.mode.entryBytes}]`)
        .note();
    },
  },
  {
    title: "absent pages and read-only pages, in both rings, with CR0.WP off and on",
    build: (g) => {
      g.map(page.a, page.a, 0)
        .forget(page.a)
        .map(page.b, page.b, entry.P | entry.US)
        .forget(page.b);
      g.map(page.c, page.c, entry.P | entry.RW).forget(page.c);
      for (const change of ["and REG, ~CR0.WP", "or REG, CR0.WP", "and REG, ~CR0.WP"]) {
        g.control("cr0", change);
        for (const at of [page.a, page.b, page.c]) g.read(at).write(at, 7);
        g.inRing3((in3) => {
          for (const at of [page.a, page.b, page.c]) in3.read(at).write(at, 8);
        });
        // What the supervisor wrote by force is not the user's to write.
        g.write(page.b, 9)
          .inRing3((in3) => void in3.read(page.b).write(page.b, 10))
          .read(page.b);
      }
    },
  },
  {
    title: "rights of the directory and of the table together",
    build: (g) => {
      const linear = 0x180_0000;
      const { entryBytes, largeBytes } = g.mode;
      const rights = [entry.P, entry.P | entry.RW, entry.P | entry.US, user];
      g.control("cr0", "or REG, CR0.WP");
      rights.forEach((bits, i) => g.do(`mov dword [${page.tables + i * entryBytes}], ${page.a | bits}`));
      if (entryBytes === 8) rights.forEach((_, i) => g.do(`mov dword [${page.tables + i * 8 + 4}], 0`));
      for (const bits of rights) {
        g.do(`mov dword [esi + ${(linear / largeBytes) * entryBytes}], ${page.tables | bits}`).loadCr3();
        rights.forEach((_, i) => g.read(linear + i * 0x1000).write(linear + i * 0x1000, i));
        g.inRing3((in3) => rights.forEach((_, i) => in3.read(linear + i * 0x1000).write(linear + i * 0x1000, i)));
        rights.forEach((_, i) => g.do(`mov eax, [${page.tables + i * entryBytes}]`).note());
      }
    },
  },
  {
    title: "an entry that changes counts after INVLPG, MOV to CR3, and through an alias",
    build: (g) => {
      g.write(page.a, 1).write(page.b, 2).write(page.c, 3).read(page.a);
      g.map(page.a, page.b, user).forget(page.a).read(page.a).write(page.a, 12).read(page.b);
      g.map(page.a, page.c, user).loadCr3().read(page.a).write(page.a, 13).read(page.c);
      // The page table seen through another page, and written there.
      const table = page.tables;
      g.do("mov eax, edi", `or eax, ${user}`, `mov [edi + ${(table >> 12) * g.mode.entryBytes}], eax`).forget(table);
      g.do(`mov dword [${table + (page.a >> 12) * g.mode.entryBytes}], ${page.a | user}`).forget(page.a);
      g.read(page.a).write(page.a, 14).read(page.a);
      g.do(`mov eax, [${table + (page.a >> 12) * g.mode.entryBytes}]`).note();
      g.do(`mov eax, [${table + (table >> 12) * g.mode.entryBytes}]`).note();
    },
  },
  {
    title: "global pages survive a load of CR3, and end by INVLPG and by a change of CR4.PGE",
    build: (g) => {
      g.write(page.a, 1).write(page.b, 2);
      g.control("cr4", "or REG, CR4.PGE");
      g.map(page.a, page.a, user | entry.G)
        .forget(page.a)
        .read(page.a)
        .loadCr3()
        .read(page.a);
      g.map(page.a, page.b, user | entry.G)
        .forget(page.a)
        .read(page.a);
      g.map(page.a, page.a, user | entry.G)
        .control("cr4", "and REG, ~CR4.PGE")
        .read(page.a);
      g.control("cr4", "or REG, CR4.PGE").read(page.a).map(page.a, page.b, user);
      g.control("cr4", "xor REG, CR4.PGE").read(page.a);
    },
  },
  {
    title: "a large page that is split, and a table that becomes a large page",
    build: (g) => {
      const { largeBytes, entryBytes } = g.mode;
      // A directory entry that nothing else uses: beyond the slot.
      const index = 0x180_0000 / largeBytes;
      const linear = 0x180_0000;
      const at = `[esi + ${index * entryBytes}]`;
      if (g.mode.name === "paged32") g.control("cr4", "or REG, CR4.PSE");
      g.do(`mov dword ${at}, ${user | entry.PS}`).loadCr3();
      // The first megabytes again, as one page.
      g.write(page.a, 0x51)
        .read(linear + page.a)
        .write(linear + page.b, 0x52)
        .read(page.b);
      g.do(`mov eax, ${at}`).note();
      g.do(`mov dword ${at}, ${user | entry.PS}`)
        .forget(linear + page.a)
        .read(linear + page.a);
      g.do(`mov eax, ${at}`)
        .note()
        .write(linear + page.a, 0x53)
        .do(`mov eax, ${at}`)
        .note();
      // Split: a table whose pages lie elsewhere.
      for (let i = 8; i < 14; i++) {
        g.do(
          `mov dword [${page.tables + i * entryBytes}], ${(page.a + ((i + 1) % 3) * 0x1000) | (i === 11 ? 5 : user)}`,
        );
        if (entryBytes === 8) g.do(`mov dword [${page.tables + i * 8 + 4}], 0`);
      }
      g.do(`mov dword ${at}, ${page.tables | user}`).loadCr3();
      for (let i = 8; i < 14; i++) g.read(linear + i * 0x1000).write(linear + i * 0x1000, 0x60 + i);
      for (let i = 8; i < 14; i++) g.do(`mov eax, [${page.tables + i * entryBytes}]`).note();
      // And whole again, read-only.
      g.do(`mov dword ${at}, ${entry.P | entry.US | entry.PS}`).loadCr3();
      g.control("cr0", "or REG, CR0.WP")
        .read(linear + page.c)
        .write(linear + page.c, 1);
      g.inRing3((in3) => void in3.read(linear + page.c).write(linear + page.c, 1));
      g.do(`mov eax, ${at}`).note();
    },
  },
  {
    title: "CR4.PSE decides what bit 7 of a directory entry means",
    modes: ["paged32"],
    build: (g) => {
      const linear = 0x180_0000;
      const at = `[esi + ${(linear >> 22) * 4}]`;
      for (let i = 0; i < 16; i++) g.do(`mov dword [${page.tables + i * 4}], ${page.a | user}`);
      g.control("cr4", "and REG, ~CR4.PSE").do(`mov dword ${at}, ${page.tables | user | entry.PS}`);
      g.write(page.a, 0x31)
        .read(linear + 0x3000)
        .read(linear + 0x5000);
      g.control("cr4", "or REG, CR4.PSE")
        .do(`mov dword ${at}, ${user | entry.PS}`)
        .loadCr3();
      g.read(linear + page.a)
        .control("cr4", "and REG, ~CR4.PSE")
        .do(`mov dword ${at}, ${page.tables | user}`)
        .loadCr3();
      g.read(linear + 0x3000);
    },
  },
  {
    title: "two directories in turns",
    build: (g) => {
      const wide = g.mode.name === "long64" ? "rax" : "eax";
      const other = page.tables;
      const bytes = g.mode.entryBytes;
      // A copy of the whole tree down to the page table, with another page behind `a`.
      const levels = g.mode.above + 1;
      g.do(`mov ${wide}, cr3`, `mov [kept], eax`, "mov edx, eax");
      for (let i = 0; i < levels; i++) {
        const to = other + i * 0x1000;
        const words = g.mode.name === "pae32" && i === 0 ? 8 : 1024;
        g.do("push esi", "push edi").do("mov esi, edx", `mov edi, ${to}`, `mov ecx, ${words}`, "rep movsd");
        g.do("pop edi", "pop esi");
        if (i + 1 === levels) continue;
        g.do("mov edx, [edx]", "and edx, ~0xfff");
        g.do(`mov eax, [${to}]`, "and eax, 0xfff", `or eax, ${to + 0x1000}`, `mov [${to}], eax`);
      }
      g.do(`mov dword [${other + (levels - 1) * 0x1000 + (page.a >> 12) * bytes}], ${page.b | user}`);
      g.write(page.a, 0x41).write(page.b, 0x42);
      for (let i = 0; i < 3; i++) {
        g.do(`mov eax, ${other}`, `mov cr3, ${wide}`)
          .read(page.a)
          .write(page.a, 0x50 + i);
        g.do("mov eax, [kept]", `mov cr3, ${wide}`)
          .read(page.a)
          .write(page.a, 0x60 + i)
          .read(page.b);
      }
      for (let i = 8; i < 12; i++) g.do(`mov eax, [${other + (levels - 1) * 0x1000 + i * bytes}]`).note();
    },
  },
  {
    title: "page-directory-pointer entries are those that MOV to CR3 has loaded",
    modes: ["pae32"],
    build: (g) => {
      // The second gigabyte gets the directory of the first.
      const second = 0x4000_0000;
      g.do("mov ecx, cr3", "mov edx, [ecx]", "mov [ecx + 8], edx").read(second + page.a);
      g.write(page.a, 0x41)
        .write(page.b, 0x42)
        .loadCr3()
        .read(second + page.a)
        .write(second + page.b, 0x43)
        .read(page.b);
      g.do("mov dword [ecx + 8], 0")
        .read(second + page.a)
        .read(second + page.c);
      g.loadCr3()
        .read(second + page.a)
        .read(second + page.c);
      // CR0 and CR4 load them too, where they change something about paging.
      g.do("mov [ecx + 8], edx")
        .control("cr4", "xor REG, CR4.PGE")
        .read(second + page.a);
      g.do("mov dword [ecx + 8], 0")
        .control("cr0", "xor REG, CR0.WP")
        .read(second + page.c)
        .loadCr3();
      g.do("mov [ecx + 8], edx")
        .control("cr0", "xor REG, CR0.CD")
        .read(second + page.c);
      // Reserved bits: the load faults, and the old ones stay.
      g.do("mov [ecx + 8], edx").loadCr3().do("mov dword [ecx + 8], 0x1e1");
      g.may("mov eax, cr3", "mov cr3, eax").read(second + page.a);
      g.may("mov eax, cr4", "xor eax, CR4.PGE", "mov cr4, eax").read(second + page.a);
      g.do("mov [ecx + 8], edx").loadCr3().read(page.a);
    },
  },
  {
    title: "paging off and on again, on other tables",
    modes: ["paged32", "pae32"],
    build: (g) => {
      g.write(page.a, 0x21).write(page.b, 0x22).map(page.a, page.b, user).forget(page.a).read(page.a);
      g.control("cr0", "xor REG, CR0.PG").read(page.a).write(page.a, 0x23);
      g.map(page.a, page.c, user).control("cr0", "xor REG, CR0.PG").read(page.a).write(page.a, 0x24).read(page.c);
    },
  },
  {
    title: "reserved bits of entries",
    modes: ["pae32", "long64"],
    build: (g) => {
      g.high(page.a, 0x0008_0000).map(page.a, page.a, user).forget(page.a).read(page.a).write(page.a, 1);
      g.inRing3((in3) => void in3.read(page.a).write(page.a, 1));
      g.high(page.a, 0).forget(page.a).read(page.a);
      const at = `[esi + ${(0x180_0000 / g.mode.largeBytes) * 8}]`;
      g.do(`mov dword ${at}, ${user | entry.PS | 0x4000}`)
        .loadCr3()
        .read(0x180_0000 + page.a);
      g.do(`mov dword ${at}, ${user | entry.PS}`)
        .loadCr3()
        .read(0x180_0000 + page.a);
    },
  },
  {
    title: "reserved bits of a page of 4 megabytes",
    modes: ["paged32"],
    build: (g) => {
      const at = `[esi + ${(0x180_0000 >> 22) * 4}]`;
      g.control("cr4", "or REG, CR4.PSE")
        .do(`mov dword ${at}, ${user | entry.PS | (1 << 21)}`)
        .loadCr3();
      g.read(0x180_0000 + page.a).write(0x180_0000 + page.a, 1);
      g.do(`mov dword ${at}, ${user | entry.PS}`)
        .loadCr3()
        .read(0x180_0000 + page.a);
    },
  },
  {
    title: "code that may be fetched and code that may not",
    noExecute: true,
    modes: ["pae32", "long64"],
    build: (g) => {
      const efer = (change: string): void => {
        g.do("push ecx", "mov ecx, 0xc0000080", "rdmsr", change, "wrmsr", "pop ecx");
      };
      const call = (): void =>
        void g.may(`mov eax, ${page.code}`, g.mode.name === "long64" ? "call rax" : "call eax", "inc ebx");
      g.do(`mov byte [${page.code}], 0xc3`);
      call();
      efer("or eax, EFER.NXE");
      g.high(page.code, 0x8000_0000).forget(page.code).read(page.code);
      g.do(
        `mov ebp, caught_a`,
        `mov eax, ${page.code}`,
        "jmp " + (g.mode.name === "long64" ? "rax" : "eax"),
        "caught_a:",
      );
      g.inRing3((in3) => {
        in3.do(
          `mov ebp, caught_b`,
          `mov eax, ${page.code}`,
          "jmp " + (g.mode.name === "long64" ? "rax" : "eax"),
          "caught_b:",
        );
      });
      // Without EFER.NXE the bit is reserved.
      efer("and eax, ~EFER.NXE");
      g.loadCr3().read(page.code).high(page.code, 0).forget(page.code).read(page.code);
      call();
      // Of a supervisor's page, and of an absent one.
      g.map(page.code, page.code, entry.P | entry.RW).forget(page.code);
      g.inRing3((in3) => {
        in3.do(
          `mov ebp, caught_c`,
          `mov eax, ${page.code}`,
          "jmp " + (g.mode.name === "long64" ? "rax" : "eax"),
          "caught_c:",
        );
      });
      g.map(page.code, page.code, 0).forget(page.code);
      g.do(
        `mov ebp, caught_d`,
        `mov eax, ${page.code}`,
        "jmp " + (g.mode.name === "long64" ? "rax" : "eax"),
        "caught_d:",
      );
    },
  },
  {
    title: "pages of the user that SMEP and SMAP keep from the supervisor",
    platforms: ["zen"],
    modes: ["paged32", "pae32"],
    build: (g) => {
      const linear = 0x180_0000;
      const { entryBytes, largeBytes } = g.mode;
      const runs = (label: string): Guest => g.do(`mov ebp, ${label}`, `mov eax, ${linear}`, "call eax", `${label}:`);
      [page.code, page.a].forEach((to, i) => g.do(`mov dword [${page.tables + i * entryBytes}], ${to | user}`));
      if (entryBytes === 8) for (const i of [0, 1]) g.do(`mov dword [${page.tables + i * 8 + 4}], 0`);
      g.do(
        `mov byte [${page.code}], 0xc3`,
        `mov dword [esi + ${(linear / largeBytes) * entryBytes}], ${page.tables | user}`,
      );
      // What the guest itself uses is the supervisor's.
      for (let at = 0; at < 0x40_0000; at += largeBytes) {
        g.do(`and dword [esi + ${(at / largeBytes) * entryBytes}], ~${entry.US}`);
      }
      g.loadCr3().write(page.a, 0x71);
      runs("before").control("cr4", "or REG, CR4.SMEP");
      runs("under_smep").read(linear + 0x1000);
      g.control("cr4", "or REG, CR4.SMAP")
        .read(linear + 0x1000)
        .write(linear + 0x1000, 0x72);
      g.do("stac")
        .read(linear + 0x1000)
        .write(linear + 0x1000, 0x73)
        .do("clac")
        .read(linear + 0x1000)
        .read(page.a);
      g.control("cr4", "and REG, ~(CR4.SMEP | CR4.SMAP)");
      runs("after").read(linear + 0x1000);
    },
  },
];
