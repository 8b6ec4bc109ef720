/** `make promote`: operations/promote.ts with the local environment's tools and backend. */
import { promote } from "../../operations/promote";
import { reportFailure } from "../../operations/refusal";
import { dockerChoice, exported } from "../places";

/** Takes no lock: it reads what is deployed, and writes a file that is read once at the start of an update. */
async function main(from = "", to = ""): Promise<void> {
    Object.assign(process.env, exported(dockerChoice()?.host));
    await promote(from, to);
}

reportFailure(main(...process.argv.slice(2)));
