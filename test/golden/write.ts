/** Writes the golden graph of every stack that someone uses, and removes those whose stack is gone: `make golden`. */
import * as fs from "fs";
import * as path from "path";

import { graphText } from "../../review/graph";
import { graphOf, usersStacks } from "../support/program";

const stacks = usersStacks();
for (const stack of stacks) {
    fs.writeFileSync(path.join(__dirname, `${stack}.json`), graphText(graphOf(stack)));
}
for (const file of fs.readdirSync(__dirname).filter((each) => each.endsWith(".json"))) {
    if (!stacks.includes(path.basename(file, ".json"))) {
        fs.rmSync(path.join(__dirname, file));
    }
}
process.stdout.write(`test/golden: ${stacks.map((stack) => `${stack}.json`).join(", ")}\n`);
