/** The drawing of the rooms and the arrows between them, made from the table in docs/architecture.md. */
import { drawing } from "./drawing";
import type { Room } from "./rooms";

/** The drawing as SVG: tests and measurements are left out, which know nearly everything. */
export async function architecturePicture(rooms: readonly Room[]): Promise<string> {
    const drawn = rooms.filter(({ room }) => !/^(test|bench|docs)\b/.test(room));
    const isLocal = ({ room }: Room): boolean => room.split("/")[0] === "local";
    const node = ({ room }: Room): string => `"${room}" [shape=box]`;
    return drawing(
        "Rooms of the project and the imports between them",
        [
            'subgraph cluster_local { label="the local environment"',
            ...drawn.filter(isLocal).map(node),
            "}",
            'subgraph cluster_product { label="the program, and what works with it"',
            ...drawn.filter((each) => !isLocal(each)).map(node),
            "}",
            ...drawn.flatMap(({ room, imports }) =>
                direct(imports, drawn).map((other) => `"${room}" -> "${other}"`),
            ),
        ],
        "rankdir=TB; ranksep=0.35;",
    );
}

/** The imports that no other import of the same room leads to as well: an arrow for each of them all would hide the floors. */
function direct(imports: readonly string[], rooms: readonly Room[]): readonly string[] {
    const reach = (from: string): ReadonlySet<string> => {
        const next = rooms.find(({ room }) => room === from)?.imports ?? [];
        return new Set(next.flatMap((each) => [each, ...reach(each)]));
    };
    return imports.filter((each) => !imports.some((other) => reach(other).has(each)));
}
