// Checks every import against the table in docs/architecture.md: `npm run lint:imports`.
const { filesOf, readRooms } = require("./docs/rooms");

const rooms = readRooms();
const files = new Map(rooms.map(({ room }) => [room, filesOf(room, rooms)]));

module.exports = {
    forbidden: [
        { name: "no-circle", severity: "error", from: {}, to: { circular: true } },
        {
            name: "has-a-room",
            severity: "error",
            comment: "Give the file a room in docs/architecture.md.",
            from: { path: "\\.ts$", pathNot: [...files.values(), "^node_modules/"] },
            to: {},
        },
        ...rooms.map(({ room, imports }) => ({
            name: `only-downwards-from-${room}`,
            severity: "error",
            comment: `${room} imports only from the rooms that docs/architecture.md lists for it.`,
            from: { path: files.get(room) },
            to: {
                path: "\\.ts$",
                pathNot: [files.get(room), ...imports.map((each) => files.get(each)), "^node_modules/"],
            },
        })),
    ],
    options: {
        doNotFollow: { path: "^node_modules/" },
        exclude: { path: "^(node_modules|artifacts)/" },
        tsConfig: { fileName: "tsconfig.json" },
        // An import of a type alone is an arrow, too.
        tsPreCompilationDeps: true,
    },
};
