// dist/cli.js: runs the program, which scripts/prepare.mjs has put into one script, with V8's compiled form of it
// beside it. That form saves reading and compiling most of a megabyte at every start. V8 refuses it where it was made
// by another version or with other flags, and then compiles as usual.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";

/** The program's name in dist/program: a digest of its text, so that a compiled form never meets another text. */
declare const PROGRAM: string;

/** What the script is: the program as a function of what a module has. */
type Program = (require: NodeJS.Require, moduleUrl: string) => void;

const path = (extension: string): string => fileURLToPath(new URL(`program/${PROGRAM}.${extension}`, import.meta.url));

const script = new Script(readFileSync(path("cjs"), "latin1"), {
  filename: path("cjs"),
  ...(existsSync(path("cache")) && { cachedData: readFileSync(path("cache")) }),
});
(script.runInThisContext() as Program)(createRequire(import.meta.url), import.meta.url);
