// What `trapline init` writes. Every file works as it stands; a test runs them all.

/** The files of a new project by path, golden files apart. */
export function projectFiles(version: string): Readonly<Record<string, string>> {
  const manifest = {
    private: true,
    type: "module",
    scripts: {
      test: "trapline run tests",
      check: "trapline fmt --check tests && trapline check tests",
      format: "trapline fmt tests",
    },
    devDependencies: { trapline: `^${version}` },
  };
  return {
    "package.json": json(manifest),
    "tests/first.trap": firstTest,
    ".editorconfig": editorconfig,
    ".vscode/tasks.json": json(tasks),
    ".github/workflows/trapline.yml": workflow,
    ".gitignore": "node_modules\n",
  };
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

const firstTest = `;; A first test: what CPUID does in a guest, by vendor, and what a guest finds there.

test "CPUID exits unasked on Intel" {
  on  vtx2, svm2
  vmm hardware { intercept nothing }
  golden                                ; the whole transcript is kept in first.golden and compared

  guest long64 {
    mov   eax, 1
    cpuid
      on vtx2           => exit CPUID
      on svm2           => nothing
    expect edx & CPUID_1_EDX.MSR != 0
    hlt                 => halt
  }
}

test "POPF in ring 3 loses the interrupt flag and says nothing" {
  on all

  guest prot32 {
    ring 3 {
      pushfd
      or    dword [esp], FLAGS.IF
      popfd             => nothing
      pushfd
      pop   eax
      expect eax & FLAGS.IF == 0
    }
  }
}
`;

const editorconfig = `root = true

[*.trap]
charset = utf-8
end_of_line = lf
indent_style = space
indent_size = 2
insert_final_newline = true
trim_trailing_whitespace = true
max_line_length = 120
`;

/** Tasks of Visual Studio Code: mistakes and failures appear on their lines without any extension. */
const tasks = {
  version: "2.0.0",
  tasks: [
    {
      label: "trapline check",
      type: "shell",
      command: "npx trapline check tests --format github",
      problemMatcher: matcher(),
      group: { kind: "build", isDefault: true },
    },
    {
      label: "trapline run",
      type: "shell",
      command: "npx trapline run tests --format github",
      problemMatcher: matcher(),
      group: { kind: "test", isDefault: true },
    },
  ],
};

function matcher(): object {
  return {
    owner: "trapline",
    fileLocation: ["relative", "${workspaceFolder}"],
    pattern: {
      regexp:
        "^::(error|warning) file=([^,]*),line=(\\d+),endLine=(\\d+)(?:,col=(\\d+),endColumn=(\\d+))?,title=(.*?)::(.*)$",
      severity: 1,
      file: 2,
      line: 3,
      endLine: 4,
      column: 5,
      endColumn: 6,
      code: 7,
      message: 8,
    },
  };
}

const workflow = `name: trapline
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with:
          node-version: 22
      - run: npm install
      - run: npm run check
      - run: npm test -- --format github
`;
