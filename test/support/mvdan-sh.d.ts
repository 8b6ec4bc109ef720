/** The part of mvdan-sh, a package without types, that is used here: https://pkg.go.dev/mvdan.cc/sh/v3/syntax */
declare module "mvdan-sh" {
    interface ShellNode {
        readonly Args?: ShellNode[];
        readonly Name?: ShellNode;
        readonly Parts?: ShellNode[];
        readonly Value?: string;
        Pos(): { Line(): number };
    }
    const syntax: {
        NewParser(): { Parse(text: string, name: string): ShellNode };
        NodeType(node: ShellNode): string;
        /** Visits every node, and passes null when it leaves one. */
        Walk(node: ShellNode, visit: (node: ShellNode | null) => boolean): void;
    };
}
