/** `make promote`: operations/promote.ts with the local environment's tools and backend. */
import { promote } from "../../operations/promote";
import { Refusal } from "../../operations/refusal";
import { dockerChoice, exported } from "../places";

/** Takes no lock: it reads what is deployed, and writes a file that is read once at the start of an update. */
async function main(from = "", to = ""): Promise<void> {
    Object.assign(process.env, exported(dockerChoice()?.host));
    await promote(from, to);
}

main(...process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof Refusal ? error.message : error);
    process.exitCode = 1;
});
